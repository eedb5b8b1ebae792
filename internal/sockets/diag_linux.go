package sockets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Sizes and numbers of sock_diag(7) and linux/inet_diag.h that x/sys lacks.
const (
	diagRequestLen = 56 // struct inet_diag_req_v2
	diagMessageLen = 72 // struct inet_diag_msg
	diagInfo       = 2  // INET_DIAG_INFO: a struct tcp_info
)

var (
	errCutShort = errors.New("a netlink message is cut short")
	errDone     = errors.New("done")
)

// diagRequest asks for the table of one address family, with tcp_info.
func diagRequest(family uint8, states uint32) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN+diagRequestLen)
	ne := binary.NativeEndian
	ne.PutUint32(b, uint32(len(b)))
	ne.PutUint16(b[4:], unix.SOCK_DIAG_BY_FAMILY)
	ne.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	req := b[unix.NLMSG_HDRLEN:]
	req[0], req[1], req[2] = family, unix.IPPROTO_TCP, 1<<(diagInfo-1)
	ne.PutUint32(req[4:], states)
	return b
}

// readDiag hands each socket in a datagram to each, in one that is used again.
// The error is errDone at the end of the table.
func readDiag(b []byte, s *Socket, each func(*Socket)) (changed bool, err error) {
	ne := binary.NativeEndian
	for len(b) > 0 {
		if len(b) < unix.NLMSG_HDRLEN {
			return changed, errCutShort
		}
		size := int(ne.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return changed, errCutShort
		}
		body := b[unix.NLMSG_HDRLEN:size]
		changed = changed || ne.Uint16(b[6:])&unix.NLM_F_DUMP_INTR != 0
		switch ne.Uint16(b[4:]) {
		case unix.SOCK_DIAG_BY_FAMILY:
			if !s.decode(body) {
				return changed, errCutShort
			}
			each(s)
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			// Both begin with a negative errno, or 0.
			if len(body) < 4 {
				return changed, errCutShort
			}
			if code := int32(ne.Uint32(body)); code < 0 {
				return changed, unix.Errno(-code)
			}
			return changed, errDone
		}
		b = b[min((size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1), len(b)):]
	}
	return changed, nil
}

// decode reads a struct inet_diag_msg and its attributes.
func (s *Socket) decode(b []byte) bool {
	if len(b) < diagMessageLen {
		return false
	}
	ne := binary.NativeEndian
	*s = Socket{
		State: State(b[1]), Timer: Timer(b[2]),
		Local: diagAddr(b[0], b[8:24], b[4:]), Peer: diagAddr(b[0], b[24:40], b[6:]),
		Expires: time.Duration(ne.Uint32(b[52:])) * time.Millisecond,
		Sent:    Never, Received: Never, Ack: Never, Quiet: Never,
		UID: ne.Uint32(b[64:]), Unread: NotAsked,
		inode: ne.Uint32(b[68:]), device: ne.Uint32(b[40:]), cookie: uint64(ne.Uint32(b[48:]))<<32 | uint64(ne.Uint32(b[44:])),
	}
	switch s.Timer {
	case KeepaliveTimer, WindowProbeTimer: // otherwise idiag_retrans counts retransmissions
		s.Probes = int(b[3])
	}
	if s.Timer == KeepaliveTimer && s.State == FinWait2 && s.inode == 0 {
		s.Timer = OrphanTimer
	}
	for b = b[diagMessageLen:]; len(b) >= unix.SizeofRtAttr; {
		size := int(ne.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return false
		}
		if ne.Uint16(b[2:]) == diagInfo {
			s.info(b[unix.SizeofRtAttr:size])
		}
		b = b[min((size+unix.RTA_ALIGNTO-1)&^(unix.RTA_ALIGNTO-1), len(b)):]
	}
	return true
}

// diagAddr unmaps IPv4 addresses, which a dual-stack socket has in IPv6 form.
func diagAddr(family uint8, ip, port []byte) netip.AddrPort {
	addr := netip.AddrFrom4([4]byte(ip))
	if family == unix.AF_INET6 {
		addr = netip.AddrFrom16([16]byte(ip)).Unmap()
	}
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(port))
}

// info reads a struct tcp_info, of which older kernels give less. Before a
// connection is open its times count from the boot (tcp_get_info).
func (s *Socket) info(b []byte) {
	ne := binary.NativeEndian
	if len(b) < 60 || s.State == Listen || s.State == SynSent || s.State == SynRecv || s.State == Closed {
		return
	}
	s.Probes = int(b[3])
	ago := func(at int) time.Duration { return time.Duration(ne.Uint32(b[at:])) * time.Millisecond }
	s.Sent, s.Received, s.Ack = ago(44), ago(52), ago(56)
	s.Quiet = min(s.Sent, s.Received)
	// Without data the first two count from the handshake (Linux 4.6 tells).
	if len(b) >= 160 {
		if ne.Uint32(b[152:]) == 0 {
			s.Received = Never
		}
		if ne.Uint32(b[156:]) == 0 {
			s.Sent = Never
		}
	}
}

// dump reads the table of one family from a netlink socket.
func dump(fd int, family uint8, states uint32, buf []byte, each func(*Socket)) (changed bool, err error) {
	if err := unix.Sendto(fd, diagRequest(family, states), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return false, fmt.Errorf("ask the kernel for its sockets: %w", err)
	}
	var s Socket
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS): // netlink(7): messages were lost
			changed = true
			continue
		case err != nil:
			return changed, fmt.Errorf("read the kernel's sockets: %w", err)
		}
		more, err := readDiag(buf[:n], &s, each)
		changed = changed || more
		switch {
		case errors.Is(err, errDone):
			return changed, nil
		case err != nil:
			return changed, fmt.Errorf("read the kernel's sockets: %w", err)
		}
	}
}
