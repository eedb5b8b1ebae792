package capture

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"golang.org/x/net/bpf"
)

// A Filter says which packets a live capture takes: those of TCP connections of
// which one end has one of the ports, and one end one of the hosts.
type Filter struct {
	Interface string           // or empty, for every one whose frames can be read
	Ports     []uint16         // at either end; empty is any
	Hosts     []netip.Addr     // likewise, without zones
	Exclude   []netip.AddrPort // both ends of a connection that is left out; or empty
	Snap      int              // bytes of a packet that are enough, as SnapHeads; 0 is SnapWhole
	Sparse    bool             // few packets come: a quarter of the memory will do
}

// What a packet may be cut to.
const (
	SnapHeads = 3584         // headers, and what nearly all HTTP heads need
	SnapWhole = 1<<16 + 1<<8 // the largest that a segmenting card makes of IP's 64 KiB
)

func (f Filter) snap() int {
	if f.Snap == 0 {
		return SnapWhole
	}
	return f.Snap
}

// Match reports whether the filter takes the packets between two ends.
func (f Filter) Match(a, b netip.AddrPort) bool {
	if len(f.Ports) > 0 && !slices.Contains(f.Ports, a.Port()) && !slices.Contains(f.Ports, b.Port()) {
		return false
	}
	if len(f.Hosts) > 0 && !slices.Contains(f.Hosts, a.Addr()) && !slices.Contains(f.Hosts, b.Addr()) {
		return false
	}
	return len(f.Exclude) != 2 || !slices.Contains(f.Exclude, a) || !slices.Contains(f.Exclude, b)
}

// packetOutgoing is the packet type of a frame on its way out (packet(7)).
const packetOutgoing = 4

// Link-layer types of interfaces (linux/if_arp.h): Ethernet's, and those whose
// frames are bare IP packets.
const (
	arphrdEther    = 1
	arphrdPPP      = 512 // the header is not there for packet sockets (ppp_generic.c)
	arphrdTunnel   = 768
	arphrdTunnel6  = 769
	arphrdLoopback = 772
	arphrdSit      = 776
	arphrdRawIP    = 519
	arphrdNone     = 65534
)

var (
	ethernetTypes = []uint32{arphrdEther, arphrdLoopback}
	bareTypes     = []uint32{arphrdNone, arphrdPPP, arphrdRawIP, arphrdTunnel, arphrdTunnel6, arphrdSit}
)

// Where things stand in frames (RFC 791, 8200, 9293).
const (
	ethernetHeader = 14
	etherTypeAt    = 12
	protocolAt     = 9
	fragmentAt     = 6
	ipv4Addresses  = 12
	nextHeaderAt   = 6
	ipv6Addresses  = 8
	ipv6Header     = 40
	tcpProtocol    = 6
)

// program is what the kernel runs on each frame. What it cannot decide, packets
// with IPv6 extension headers, tagged twice, or later fragments, it takes: Match
// decides on the segment in the end. On the loopback interface, whose index is
// given, every packet passes twice, and like libpcap it drops the outgoing copy.
func (f Filter) program(loopback int) []bpf.Instruction {
	p := newAssembly(f)
	ethernet, bare, once := p.label(), p.label(), p.label()
	p.add(bpf.LoadExtension{Num: bpf.ExtInterfaceIndex})
	p.unless(uint32(loopback), once)
	p.add(bpf.LoadExtension{Num: bpf.ExtType})
	p.when(packetOutgoing, p.drop)
	p.place(once)
	p.add(bpf.LoadExtension{Num: bpf.ExtLinkLayerType})
	for _, kind := range ethernetTypes {
		p.when(kind, ethernet)
	}
	for _, kind := range bareTypes {
		p.when(kind, bare)
	}
	p.jump(p.drop)

	p.place(ethernet)
	p.frames()
	p.place(bare)
	p.bare()
	return p.finish()
}

// frames takes Ethernet frames.
func (p *assembly) frames() {
	v4, v6 := p.label(), p.label()
	p.add(bpf.LoadAbsolute{Off: etherTypeAt, Size: 2})
	p.when(0x0800, v4)
	p.when(0x86dd, v6)
	p.when(0x8100, p.accept) // a second tag: the kernel takes off the first
	p.when(0x88a8, p.accept)
	p.jump(p.drop)
	p.place(v4)
	p.ipv4(ethernetHeader)
	p.place(v6)
	p.ipv6(ethernetHeader)
}

// bare takes IP packets of either version.
func (p *assembly) bare() {
	v6 := p.label()
	p.add(bpf.LoadAbsolute{Off: 0, Size: 1})
	p.add(bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4})
	p.when(6, v6)
	p.unless(4, p.drop)
	p.ipv4(0)
	p.place(v6)
	p.ipv6(0)
}

func (p *assembly) ipv4(at uint32) {
	p.add(bpf.LoadAbsolute{Off: at + protocolAt, Size: 1})
	p.unless(tcpProtocol, p.drop)
	p.addresses(at+ipv4Addresses, 4)
	p.add(bpf.LoadAbsolute{Off: at + fragmentAt, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: 0x1fff, SkipTrue: 1})
	p.jump(p.accept)                 // a later fragment
	p.add(bpf.LoadMemShift{Off: at}) // X = length of the header
	p.ports(func(off uint32) bpf.Instruction { return bpf.LoadIndirect{Off: at + off, Size: 2} }, at+ipv4Addresses, 4)
}

func (p *assembly) ipv6(at uint32) {
	tcp := p.label()
	p.addresses(at+ipv6Addresses, 16)
	p.add(bpf.LoadAbsolute{Off: at + nextHeaderAt, Size: 1})
	p.when(tcpProtocol, tcp)
	for _, extension := range []uint32{0, 43, 44, 60} { // RFC 8200 section 4
		p.when(extension, p.accept)
	}
	p.jump(p.drop)
	p.place(tcp)
	p.ports(func(off uint32) bpf.Instruction {
		return bpf.LoadAbsolute{Off: at + ipv6Header + off, Size: 2}
	}, at+ipv6Addresses, 16)
}

// addresses drops what is not of one of the hosts. Source and destination stand
// at an offset, one after the other.
func (p *assembly) addresses(at uint32, size int) {
	if len(p.filter.Hosts) == 0 {
		return
	}
	found := p.label()
	for _, host := range p.filter.Hosts {
		for _, off := range []uint32{at, at + uint32(size)} {
			p.address(off, size, host, found)
		}
	}
	p.jump(p.drop)
	p.place(found)
}

// address jumps where a host's address stands.
func (p *assembly) address(off uint32, size int, host netip.Addr, then label) {
	b := host.AsSlice()
	if len(b) != size {
		return
	}
	other := p.label()
	for i := 0; i < size; i += 4 {
		p.add(bpf.LoadAbsolute{Off: off + uint32(i), Size: 4})
		p.unless(binary.BigEndian.Uint32(b[i:]), other)
	}
	p.jump(then)
	p.place(other)
}

// ports takes what is of one of the ports, and not of the connection that is left
// out.
func (p *assembly) ports(load func(off uint32) bpf.Instruction, addresses uint32, size int) {
	if ends := p.filter.Exclude; len(ends) == 2 {
		for i := range ends {
			from, to := ends[i], ends[1-i]
			other, fromIs, toIs := p.label(), p.label(), p.label()
			p.add(load(0))
			p.unless(uint32(from.Port()), other)
			p.add(load(2))
			p.unless(uint32(to.Port()), other)
			p.address(addresses, size, from.Addr(), fromIs)
			p.jump(other)
			p.place(fromIs)
			p.address(addresses+uint32(size), size, to.Addr(), toIs)
			p.jump(other)
			p.place(toIs)
			p.jump(p.drop)
			p.place(other)
		}
	}
	if len(p.filter.Ports) == 0 {
		p.jump(p.accept)
		return
	}
	for _, off := range []uint32{0, 2} {
		p.add(load(off))
		for _, port := range p.filter.Ports {
			p.when(uint32(port), p.accept)
		}
	}
	p.jump(p.drop)
}
