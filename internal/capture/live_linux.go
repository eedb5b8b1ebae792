package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"kax/internal/wire"
)

// The ring that the kernel writes packets into. Version 2 wakes its reader at
// every packet; version 3 only when a block is full or its time is over, which
// is too late for a timeline that is watched live.
const (
	frameSize  = 1 << 14
	frameCount = 1 << 9
	blockSize  = 1 << 16
)

// Live captures by a packet socket (packet(7)), from one interface or from all
// that carry Ethernet frames.
type Live struct {
	fd      int
	ring    []byte
	next    int  // frame that the kernel fills next
	held    bool // the frame before it is still the caller's
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
		if !Ethernet(name) {
			return fmt.Errorf("capture on %s: %w: it carries no Ethernet frames", name, errors.ErrUnsupported)
		}
		index = ifi.Index
	}
	loopback, err := loopbackIndex()
	if err != nil {
		return fmt.Errorf("capture on %s: %w", name, err)
	}
	if err := l.setFilter(append(once(loopback), f.program()...)); err != nil {
		return fmt.Errorf("capture on %s: %w", name, err)
	}
	if err := l.makeRing(); err != nil {
		return fmt.Errorf("capture on %s: %w", name, err)
	}
	sa := &unix.SockaddrLinklayer{Protocol: bigEndian16(unix.ETH_P_ALL), Ifindex: index}
	if err := unix.Bind(l.fd, sa); err != nil {
		return fmt.Errorf("capture on %s: bind: %w", name, err)
	}
	return nil
}

// Ethernet reports whether an interface carries Ethernet frames, as far as is
// known: tunnels and the like do not (linux/if_arp.h).
func Ethernet(name string) bool {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return true
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	if unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, req) != nil {
		return true
	}
	hatype := req.Uint16() // sa_family of ifr_hwaddr (netdevice(7))
	return hatype == arphrdEther || hatype == arphrdLoopback
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
	code := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if err := unix.SetsockoptSockFprog(l.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("SO_ATTACH_FILTER: %w", err)
	}
	return nil
}

func (l *Live) makeRing() error {
	if err := unix.SetsockoptInt(l.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return fmt.Errorf("PACKET_VERSION: %w", err)
	}
	req := unix.TpacketReq{
		Block_size: blockSize, Block_nr: frameSize * frameCount / blockSize,
		Frame_size: frameSize, Frame_nr: frameCount,
	}
	if err := unix.SetsockoptTpacketReq(l.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("PACKET_RX_RING: %w", err)
	}
	ring, err := unix.Mmap(l.fd, 0, frameSize*frameCount, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the ring: %w", err)
	}
	l.ring = ring
	return nil
}

// Next returns the next packet, waiting for it up to the given time. Without
// one it reports false. The packet is the caller's until the next call.
func (l *Live) Next(wait time.Duration) (Packet, bool, error) {
	l.release()
	h := l.frame(l.next)
	if atomic.LoadUint32(&h.Status)&unix.TP_STATUS_USER == 0 {
		if wait <= 0 {
			return Packet{}, false, nil
		}
		fds := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, int(wait.Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
			return Packet{}, false, fmt.Errorf("wait for packets: %w", err)
		}
		if fds[0].Revents&unix.POLLERR != 0 {
			errno, _ := unix.GetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_ERROR)
			return Packet{}, false, fmt.Errorf("wait for packets: %w", unix.Errno(errno))
		}
		if atomic.LoadUint32(&h.Status)&unix.TP_STATUS_USER == 0 {
			return Packet{}, false, nil
		}
	}
	start := l.next*frameSize + int(h.Mac)
	// The address stands behind the aligned header (TPACKET2_HDRLEN).
	from := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&l.ring[l.next*frameSize+tpacketAlign(int(unsafe.Sizeof(*h)))]))
	p := Packet{
		Time:      time.Unix(int64(h.Sec), int64(h.Nsec)),
		Data:      l.ring[start : start+int(h.Snaplen)],
		Length:    int(h.Len),
		Interface: int(from.Ifindex),
		Link:      wire.Ethernet,
	}
	l.next = (l.next + 1) % frameCount
	l.held = true
	return p, true, nil
}

// tpacketAlign is TPACKET_ALIGN of linux/if_packet.h.
func tpacketAlign(n int) int { return (n + unix.TPACKET_ALIGNMENT - 1) &^ (unix.TPACKET_ALIGNMENT - 1) }

// release gives the caller's frame back to the kernel.
func (l *Live) release() {
	if l.held {
		h := l.frame((l.next + frameCount - 1) % frameCount)
		atomic.StoreUint32(&h.Status, unix.TP_STATUS_KERNEL)
		l.held = false
	}
}

func (l *Live) frame(i int) *unix.Tpacket2Hdr {
	return (*unix.Tpacket2Hdr)(unsafe.Pointer(&l.ring[i*frameSize]))
}

// Dropped returns how many matching packets the kernel had no room for.
func (l *Live) Dropped() (int, error) {
	// Reading resets the kernel's count.
	st, err := unix.GetsockoptTpacketStats(l.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return l.dropped, fmt.Errorf("count dropped packets: %w", err)
	}
	l.dropped += int(st.Drops)
	return l.dropped, nil
}

// Close ends the capture. No packet may be in use.
func (l *Live) Close() error {
	var errs []error
	if l.ring != nil {
		errs = append(errs, unix.Munmap(l.ring))
		l.ring = nil
	}
	return errors.Join(append(errs, unix.Close(l.fd))...)
}

// bigEndian16 puts a protocol number in network order, as sockaddr_ll has it.
func bigEndian16(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
