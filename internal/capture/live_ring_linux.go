package capture

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kax/internal/wire"
)

// A ring is memory that the kernel writes packets into, block by block
// (TPACKET_V3, Documentation/networking/packet_mmap.rst). A block holds packets
// of any length, one after the other, so that a ring has room for many short ones
// and a long one is not cut; its reader is woken once for all of them. Version 2
// wakes it for each packet, which under load costs several times what tcpdump
// takes.
type ring struct {
	memory []byte
	size   int    // of a block
	count  int    // of blocks
	block  int    // that the kernel fills next, or that is being read
	left   uint32 // packets of it that have not been read
	at     int    // offset of the next one
	held   bool   // the block is the reader's
	data   []byte // a frame with its VLAN tag

	waited          time.Time // when the reader last did
	blocks, packets int       // that it has read since
}

// shape is that of a ring for packets of a length at most. A block holds the
// longest one; and as each is used up after [Latency], whatever it holds, there
// are enough of them for a reader that is held up for seconds, or where little
// comes for half a second.
func (r *ring) shape(f Filter) {
	r.size, r.count = 1<<15, 1<<9
	if f.snap() > SnapHeads {
		r.size, r.count = 1<<17, 1<<8
	}
	if f.Sparse {
		r.count /= 4
	}
}

// Latency is the longest time for which a packet waits in a block: less than
// an eye can tell.
const Latency = 10 * time.Millisecond

func (r *ring) open(fd int, f Filter) error {
	r.shape(f)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("PACKET_VERSION: %w", err)
	}
	req := unix.TpacketReq3{
		Block_size: uint32(r.size), Block_nr: uint32(r.count),
		// The kernel wants frames that fill the blocks, and does not use them.
		Frame_size: uint32(r.size), Frame_nr: uint32(r.count),
		Retire_blk_tov: uint32(Latency.Milliseconds()),
	}
	if err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("PACKET_RX_RING: %w", err)
	}
	memory, err := unix.Mmap(fd, 0, r.size*r.count, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the ring: %w", err)
	}
	r.memory = memory
	return nil
}

func (r *ring) close() error {
	if r.memory == nil {
		return nil
	}
	memory := r.memory
	r.memory = nil
	return unix.Munmap(memory)
}

// next returns a packet that is there.
func (r *ring) next() (Packet, bool) {
	for r.left == 0 {
		h := r.header()
		if r.held {
			atomic.StoreUint32(&h.Block_status, unix.TP_STATUS_KERNEL)
			r.held, r.block = false, (r.block+1)%r.count
			h = r.header()
		}
		if atomic.LoadUint32(&h.Block_status)&unix.TP_STATUS_USER == 0 {
			return Packet{}, false
		}
		r.held, r.left = true, h.Num_pkts
		r.blocks, r.packets = r.blocks+1, r.packets+int(h.Num_pkts)
		r.at = r.block*r.size + int(h.Offset_to_first_pkt)
	}
	h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&r.memory[r.at]))
	// The address stands behind the aligned header (TPACKET3_HDRLEN).
	from := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&r.memory[r.at+tpacketAlign(int(unsafe.Sizeof(*h)))]))
	start := r.at + int(h.Mac)
	p := Packet{
		Time:      time.Unix(int64(h.Sec), int64(h.Nsec)),
		Data:      r.memory[start : start+int(h.Snaplen)],
		Length:    int(h.Len),
		Interface: int(from.Ifindex),
		Link:      wire.Link(linkOf(uint32(from.Hatype))), // the filter takes no other
	}
	if h.Status&unix.TP_STATUS_VLAN_VALID != 0 {
		r.insertTag(&p, h)
	}
	r.left--
	r.at += int(h.Next_offset)
	return p, true
}

// Under load a reader that is woken for each block takes more time to wake than to
// read. It then rests first, while at the present rate no more than a quarter of
// the ring is filled.
const (
	longestRest = 50 * time.Millisecond
	busyFrom    = 64 // packets between two waits
)

// rest is how long that is. It is asked before each wait.
func (r *ring) rest() time.Duration {
	now := time.Now()
	since, blocks, packets := now.Sub(r.waited), r.blocks, r.packets
	r.waited, r.blocks, r.packets = now, 0, 0
	if packets < busyFrom {
		return 0
	}
	return min(longestRest, since*time.Duration(r.count/4)/time.Duration(blocks))
}

// header is that of the present block.
func (r *ring) header() *unix.TpacketHdrV1 {
	desc := (*unix.TpacketBlockDesc)(unsafe.Pointer(&r.memory[r.block*r.size]))
	return (*unix.TpacketHdrV1)(unsafe.Pointer(&desc.Hdr))
}

// insertTag puts the VLAN tag back, which the kernel has taken out of the frame
// (skb_vlan_untag): files and tcpdump have it there.
func (r *ring) insertTag(p *Packet, h *unix.Tpacket3Hdr) {
	const addresses = 12 // of an Ethernet header
	if len(p.Data) < addresses {
		return
	}
	kind := uint16(unix.ETH_P_8021Q)
	if h.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		kind = h.Hv1.Vlan_tpid
	}
	r.data = append(r.data[:0], p.Data[:addresses]...)
	r.data = binary.BigEndian.AppendUint16(r.data, kind)
	r.data = binary.BigEndian.AppendUint16(r.data, uint16(h.Hv1.Vlan_tci))
	r.data = append(r.data, p.Data[addresses:]...)
	p.Data = r.data
	p.Length += 4
}

// tpacketAlign is TPACKET_ALIGN of linux/if_packet.h.
func tpacketAlign(n int) int { return (n + unix.TPACKET_ALIGNMENT - 1) &^ (unix.TPACKET_ALIGNMENT - 1) }
