package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
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
type ring struct{ frame, count int }

// blockSize is what the kernel allocates at a time: a whole number of frames.
const blockSize = 1 << 17

// ringFor has frames with room for their own header and for what a filter cuts
// packets to, and as many of them as the traffic that it expects needs.
func ringFor(snap int) ring {
	switch {
	case snap == 0: // of own connections
		return ring{1 << 14, 1 << 9}
	case snap <= SnapHeads:
		return ring{1 << 12, 1 << 13}
	}
	return ring{1 << 17, 1 << 9}
}

// Live captures by a packet socket (packet(7)), from one interface or from all
// that carry Ethernet frames.
type Live struct {
	fd      int
	memory  []byte
	ring    ring
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
	l.ring = ringFor(f.Snap)
	if err := l.makeRing(); err != nil {
		return fmt.Errorf("capture on %s: %w", name, err)
	}
	sa := &unix.SockaddrLinklayer{Protocol: bigEndian16(unix.ETH_P_ALL), Ifindex: index}
	if err := unix.Bind(l.fd, sa); err != nil {
		return fmt.Errorf("capture on %s: bind: %w", name, err)
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
		Block_size: blockSize, Block_nr: uint32(l.ring.frame * l.ring.count / blockSize),
		Frame_size: uint32(l.ring.frame), Frame_nr: uint32(l.ring.count),
	}
	if err := unix.SetsockoptTpacketReq(l.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("PACKET_RX_RING: %w", err)
	}
	memory, err := unix.Mmap(l.fd, 0, l.ring.frame*l.ring.count, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the ring: %w", err)
	}
	l.memory = memory
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
	start := l.next*l.ring.frame + int(h.Mac)
	// The address stands behind the aligned header (TPACKET2_HDRLEN).
	from := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&l.memory[l.next*l.ring.frame+tpacketAlign(int(unsafe.Sizeof(*h)))]))
	p := Packet{
		Time:      time.Unix(int64(h.Sec), int64(h.Nsec)),
		Data:      l.memory[start : start+int(h.Snaplen)],
		Length:    int(h.Len),
		Interface: int(from.Ifindex),
		Link:      wire.Link(linkOf(uint32(from.Hatype))), // the filter takes no other
	}
	l.next = (l.next + 1) % l.ring.count
	l.held = true
	return p, true, nil
}

// tpacketAlign is TPACKET_ALIGN of linux/if_packet.h.
func tpacketAlign(n int) int { return (n + unix.TPACKET_ALIGNMENT - 1) &^ (unix.TPACKET_ALIGNMENT - 1) }

// release gives the caller's frame back to the kernel.
func (l *Live) release() {
	if l.held {
		h := l.frame((l.next + l.ring.count - 1) % l.ring.count)
		atomic.StoreUint32(&h.Status, unix.TP_STATUS_KERNEL)
		l.held = false
	}
}

func (l *Live) frame(i int) *unix.Tpacket2Hdr {
	return (*unix.Tpacket2Hdr)(unsafe.Pointer(&l.memory[i*l.ring.frame]))
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
	if l.memory != nil {
		errs = append(errs, unix.Munmap(l.memory))
		l.memory = nil
	}
	return errors.Join(append(errs, unix.Close(l.fd))...)
}

// bigEndian16 puts a protocol number in network order, as sockaddr_ll has it.
func bigEndian16(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
