package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"kax/internal/wire"
)

// Live captures by a packet socket (packet(7)), from one interface or from all
// that carry Ethernet frames.
type Live struct {
	fd      int
	ring    ring
	dropped int
}

// OpenLive opens the socket and captures nothing yet. Without CAP_NET_RAW in
// the user namespace that owns the network, the error is EPERM.
func OpenLive() (*Live, error) {
	// Protocol 0 receives nothing before Start binds the socket, so no packet
	// gets in ahead of the filter.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	return &Live{fd: fd}, nil
}

// Start begins to capture what f lets through.
func (l *Live) Start(f Filter) error {
	name, index := f.Interface, 0
	if name == "" {
		name = "every interface"
	} else {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			return fmt.Errorf("capture on %s: %w", name, err)
		}
		if kind, known := hardware(name); known && linkOf(kind) < 0 {
			return fmt.Errorf("capture on %s: %w: frames of hardware type %d (linux/if_arp.h)", name, errors.ErrUnsupported, kind)
		}
		index = ifi.Index
	}
	loopback, err := loopbackIndex()
	if err != nil {
		return fmt.Errorf("capture on %s: %w", name, err)
	}
	if err := l.setFilter(f.program(loopback)); err != nil {
		return fmt.Errorf("capture on %s: %w", name, err)
	}
	if err := l.ring.open(l.fd, f); err != nil {
		return fmt.Errorf("capture on %s: %w", name, err)
	}
	sa := &unix.SockaddrLinklayer{Protocol: bigEndian16(unix.ETH_P_ALL), Ifindex: index}
	if err := unix.Bind(l.fd, sa); err != nil {
		return fmt.Errorf("capture on %s: bind: %w", name, err)
	}
	if index != 0 { // like libpcap: what a bridge forwards is seen there only so
		m := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(l.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
			return fmt.Errorf("capture on %s: promiscuous mode: %w", name, err)
		}
	}
	return nil
}

// hardware is an interface's link-layer type (netdevice(7)), if that is known.
func hardware(name string) (kind uint32, known bool) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, false
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd)
	if unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, req) != nil {
		return 0, false
	}
	return uint32(req.Uint16()), true // sa_family of ifr_hwaddr
}

// linkOf is how frames of a link-layer type begin, -1 where that is not known.
func linkOf(kind uint32) int {
	switch {
	case slices.Contains(ethernetTypes, kind):
		return int(wire.Ethernet)
	case slices.Contains(bareTypes, kind):
		return int(wire.Raw)
	}
	return -1
}

// loopbackIndex is lo's index, or 0 where there is none.
func loopbackIndex() (int, error) {
	all, err := net.Interfaces()
	if err != nil {
		return 0, fmt.Errorf("list the interfaces: %w", err)
	}
	for _, ifi := range all {
		if ifi.Flags&net.FlagLoopback != 0 {
			return ifi.Index, nil
		}
	}
	return 0, nil
}

func (l *Live) setFilter(program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("assemble the filter: %w", err)
	}
	if len(raw) > unix.BPF_MAXINSNS {
		return fmt.Errorf("%w: %d instructions of BPF, and it takes %d", ErrFilter, len(raw), unix.BPF_MAXINSNS)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	err = unix.SetsockoptSockFprog(l.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog)
	if errors.Is(err, unix.ENOMEM) { // net.core.optmem_max (socket(7))
		return fmt.Errorf("%w: SO_ATTACH_FILTER: %w", ErrFilter, err)
	}
	if err != nil {
		return fmt.Errorf("SO_ATTACH_FILTER: %w", err)
	}
	return nil
}

// Next returns the next packet, waiting for it up to the given time. Without
// one it reports false. The packet is the caller's until the next call. It comes
// up to [Latency] after its stamp, under load up to [longestRest].
func (l *Live) Next(wait time.Duration) (Packet, bool, error) {
	if p, ok := l.ring.next(); ok {
		return p, true, nil
	}
	if wait <= 0 {
		return Packet{}, false, nil
	}
	if rest := l.ring.rest(); rest > 0 {
		time.Sleep(min(wait, rest))
	}
	fds := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, int(wait.Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
		return Packet{}, false, fmt.Errorf("wait for packets: %w", err)
	}
	if fds[0].Revents&unix.POLLERR != 0 {
		errno, _ := unix.GetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		return Packet{}, false, fmt.Errorf("wait for packets: %w", unix.Errno(errno))
	}
	p, ok := l.ring.next()
	return p, ok, nil
}

// Dropped returns how many matching packets the kernel had no room for.
func (l *Live) Dropped() (int, error) {
	// Reading resets the kernel's count.
	st, err := unix.GetsockoptTpacketStatsV3(l.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return l.dropped, fmt.Errorf("count dropped packets: %w", err)
	}
	l.dropped += int(st.Drops)
	return l.dropped, nil
}

// Close ends the capture. No packet may be in use.
func (l *Live) Close() error { return errors.Join(l.ring.close(), unix.Close(l.fd)) }

// bigEndian16 puts a protocol number in network order, as sockaddr_ll has it.
func bigEndian16(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
