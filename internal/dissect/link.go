package dissect

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"kax/internal/timeline"
	"kax/internal/wire"
)

// etherTypes are the names of the protocols that TCP may be wrapped in, and of
// those that are often beside it.
var etherTypes = map[uint16]string{
	0x0800: "IPv4", 0x0806: "ARP", 0x86dd: "IPv6", 0x8100: "802.1Q Virtual LAN",
	0x88a8: "802.1ad Provider Bridge (Q-in-Q)", 0x9100: "QinQ: old non-standard 802.1ad",
	0x8847: "MPLS label switched packet", 0x8863: "PPPoE Discovery", 0x8864: "PPPoE Session",
	0x888e: "802.1X Authentication", 0x88cc: "802.1 Link Layer Discovery Protocol (LLDP)", 0x9000: "Loopback",
}

// minEtherType is the smallest: what is less is a length (IEEE 802.3 section
// 3.2.6).
const minEtherType = 0x0600

// link dissects the frame from its first byte on.
func (d *dissector) link() {
	switch d.Link {
	case wire.Ethernet:
		d.ethernet()
	case wire.Null, wire.Loop:
		d.loopback()
	case wire.Raw, wire.RawDLT:
		d.protocol("raw")
		d.layer("raw", 0, 0, "Raw packet data")
		switch {
		case !d.has(0, 1):
			d.cut("Raw")
		case d.u8(0)>>4 == 4:
			d.ipv4(0)
		case d.u8(0)>>4 == 6:
			d.ipv6(0)
		default:
			d.data(0, len(d.frame))
		}
	case wire.IPv4:
		d.ipv4(0)
	case wire.IPv6:
		d.ipv6(0)
	case wire.SLL:
		d.cooked()
	case wire.SLL2:
		d.cooked2()
	default:
		d.data(0, len(d.frame))
	}
}

func (d *dissector) ethernet() {
	d.protocol("eth")
	if !d.has(0, 14) {
		d.cut("Ethernet")
		return
	}
	to, from, kind := mac(d.frame), mac(d.frame[6:]), d.u16(12)
	if kind < minEtherType {
		l := d.layer("eth", 0, 14, "IEEE 802.3 Ethernet")
		d.hardware(&l.Field, "Destination", 0)
		d.hardware(&l.Field, "Source", 6)
		d.add(&l.Field, 12, 2, "Length: %d", kind)
		d.data(14, len(d.frame))
		return
	}
	d.protocol("ethertype")
	l := d.layer("eth", 0, 14, "Ethernet II, Src: %s, Dst: %s", from, to)
	d.hardware(&l.Field, "Destination", 0)
	d.hardware(&l.Field, "Source", 6)
	d.add(&l.Field, 12, 2, "Type: %s", etherType(kind))
	d.trailed = len(d.layers) - 1
	d.network(kind, 14)
}

func mac(b []byte) string { return net.HardwareAddr(b[:6]).String() }

func etherType(kind uint16) string { return fmt.Sprintf("%s (0x%04x)", named(etherTypes, kind), kind) }

func (d *dissector) hardware(to *timeline.Field, label string, at int) {
	f := d.add(to, at, 6, "%s: %s", label, mac(d.frame[at:]))
	d.add(f, at, 6, "Address: %s", mac(d.frame[at:]))
	first := uint32(d.u8(at)) << 16
	d.add(f, at, 3, "%s = LG bit: %s", bits(first, 0x020000, 24), choose(first&0x020000 != 0,
		"Locally administered address (this is NOT the factory default)", "Globally unique address (factory default)"))
	d.add(f, at, 3, "%s = IG bit: %s", bits(first, 0x010000, 24), choose(first&0x010000 != 0,
		"Group address (multicast/broadcast)", "Individual address (unicast)"))
}

// network dissects what an EtherType announces.
func (d *dissector) network(kind uint16, at int) {
	switch kind {
	case 0x0800:
		d.ipv4(at)
	case 0x86dd:
		d.ipv6(at)
	case 0x8100, 0x9100:
		d.vlan(at)
	case 0x88a8:
		d.providerBridge(at)
	case 0x0806: // ARP says how long it is (RFC 826)
		end := len(d.frame)
		if d.has(at, 8) {
			end = at + 8 + 2*int(d.u8(at+4)) + 2*int(d.u8(at+5))
		}
		d.trailer(end)
		d.data(at, end)
	default:
		d.data(at, len(d.frame))
	}
}

// priorities are those of IEEE 802.1D-2004 annex G, which is Wireshark's choice.
var priorities = map[uint16]string{
	0: "Best Effort (default)", 1: "Background", 2: "Excellent Effort", 3: "Critical Applications",
	4: "Video, < 100ms latency and jitter", 5: "Voice, < 10ms latency and jitter", 6: "Internetwork Control", 7: "Network Control",
}

func (d *dissector) vlan(at int) {
	d.protocol("vlan")
	if !d.has(at, 4) {
		d.cut("VLAN")
		return
	}
	tag, kind := d.u16(at), d.u16(at+2)
	l := d.layer("vlan", at, 4, "802.1Q Virtual LAN, PRI: %d, DEI: %d, ID: %d", tag>>13, tag>>12&1, tag&0xfff)
	d.add(&l.Field, at, 2, "%s = Priority: %s (%d)", bits(uint32(tag), 0xe000, 16), named(priorities, tag>>13), tag>>13)
	d.add(&l.Field, at, 2, "%s = DEI: %s", bits(uint32(tag), 0x1000, 16), choose(tag&0x1000 != 0, "Eligible", "Ineligible"))
	d.add(&l.Field, at, 2, "%s = ID: %d", bits(uint32(tag), 0x0fff, 16), tag&0xfff)
	if kind < minEtherType {
		d.add(&l.Field, at+2, 2, "Length: %d", kind)
		d.data(at+4, len(d.frame))
		return
	}
	d.protocol("ethertype")
	d.add(&l.Field, at+2, 2, "Type: %s", etherType(kind))
	if d.trailed >= 0 {
		d.trailed, d.tags = len(d.layers)-1, d.tags+4
	}
	d.network(kind, at+4)
}

func (d *dissector) providerBridge(at int) {
	d.protocol("ieee8021ad")
	if !d.has(at, 4) {
		d.cut("802.1AD")
		return
	}
	d.protocol("ethertype")
	tag, kind := d.u16(at), d.u16(at+2)
	l := d.layer("ieee8021ad", at, 4, "IEEE 802.1ad, ID: %d", tag&0xfff)
	d.add(&l.Field, at, 2, "%s = Priority: %d", bits(uint32(tag), 0xe000, 16), tag>>13)
	d.add(&l.Field, at, 2, "%s = DEI: %d", bits(uint32(tag), 0x1000, 16), tag>>12&1)
	d.add(&l.Field, at, 2, "%s = ID: %d", bits(uint32(tag), 0x0fff, 16), tag&0xfff)
	d.add(&l.Field, at+2, 2, "Type: %s", etherType(kind))
	if d.trailed >= 0 {
		d.trailed, d.tags = len(d.layers)-1, d.tags+4
	}
	d.network(kind, at+4)
}

// trailer shows what follows the IP packet in an Ethernet frame: what pads it to
// 60 bytes, what else there is, and, in frames long enough for one, a checksum.
func (d *dissector) trailer(end int) {
	if d.trailed < 0 || end >= len(d.frame) || d.Length > len(d.frame) {
		return
	}
	l := &d.layers[d.trailed].Field
	rest, check := d.frame[end:], []byte(nil)
	if len(d.frame) >= 64+d.tags && len(rest) >= 4 {
		rest, check = rest[:len(rest)-4], rest[len(rest)-4:]
	}
	if pad := 60 - end; pad > 0 && pad <= len(rest) && strings.Trim(string(rest[:pad]), "\x00") == "" {
		d.add(l, end, pad, "Padding: %s", octets(rest[:pad]))
		end, rest = end+pad, rest[pad:]
	}
	if len(rest) > 0 {
		d.add(l, end, len(rest), "Trailer: %s", octets(rest))
	}
	if check != nil {
		d.add(l, len(d.frame)-4, 4, "Frame check sequence: 0x%x [unverified]", check)
		d.add(l, len(d.frame)-4, 0, "[FCS Status: Unverified]")
	}
}

var families = map[uint32]string{2: "IP", 7: "OSI", 16: "Appletalk", 23: "Netware IPX/SPX", 24: "IPv6", 28: "IPv6", 30: "IPv6"}

func (d *dissector) loopback() {
	d.protocol("null")
	if !d.has(0, 4) {
		d.cut("Null/Loopback")
		return
	}
	family := wire.Family(d.Link, d.frame)
	name := named(families, family)
	if family == 10 { // Linux, which Wireshark does not know here
		name = "IPv6"
	}
	l := d.layer("null", 0, 4, "Null/Loopback")
	d.add(&l.Field, 0, 4, "Family: %s (%d)", name, family)
	switch name {
	case "IP":
		d.ipv4(4)
	case "IPv6":
		d.ipv6(4)
	default:
		d.data(4, len(d.frame))
	}
}

var packetTypes = map[uint16]string{
	0: "Unicast to us", 1: "Broadcast", 2: "Multicast", 3: "Unicast to another host", 4: "Sent by us",
}

// hardwareTypes are those of interfaces that TCP is met on (ARPHRD_… in Linux's
// if_arp.h).
var hardwareTypes = map[uint16]string{
	0: "NET/ROM pseudo", 1: "Ethernet", 6: "IEEE 802", 24: "IEEE 1394.1995", 32: "InfiniBand", 256: "Experimental 2",
	280: "Controller Area Network", 512: "PPP", 513: "Cisco HDLC", 519: "Raw IP", 768: "IPIP tunnel", 769: "IP6IP6 tunnel",
	772: "Loopback", 774: "Fiber Distributed Data Interface", 776: "sit0 device - IPv6-in-IPv4", 778: "GRE over IP",
	801: "IEEE 802.11", 802: "IEEE 802.11 + Prism2 header", 803: "IEEE 802.11 + radiotap header", 823: "GRE over IPv6",
	65534: "zero header length",
}

// cookedTypes are protocols that have no EtherType in a cooked header.
var cookedTypes = map[uint16]string{1: "Raw 802.3", 4: "802.2 LLC", 0x0c: "CAN", 0x0d: "CAN FD"}

func cookedType(kind uint16) string {
	if name, ok := cookedTypes[kind]; ok {
		return fmt.Sprintf("%s (0x%04x)", name, kind)
	}
	return etherType(kind)
}

// address shows the 8 bytes that a cooked header has for a link-layer address.
func (d *dissector) address(to *timeline.Field, at, length int) {
	n := min(length, 8)
	b := d.frame[at : at+n]
	switch n {
	case 0:
	case 4:
		d.add(to, at, n, "Source: %s", netip.AddrFrom4([4]byte(b)))
	case 6:
		d.add(to, at, n, "Source: %s", mac(b))
	default:
		d.add(to, at, n, "Source: %s", octets(b))
	}
	if n < 8 {
		d.add(to, at+n, 8-n, "Unused: %s", octets(d.frame[at+n:at+8]))
	}
}

func (d *dissector) cooked() {
	d.protocol("sll")
	if !d.has(0, 16) {
		d.cut("SLL")
		return
	}
	l := d.layer("sll", 0, 16, "Linux cooked capture v1")
	d.add(&l.Field, 0, 2, "Packet type: %s (%d)", named(packetTypes, d.u16(0)), d.u16(0))
	d.add(&l.Field, 2, 2, "Link-layer address type: %s (%d)", named(hardwareTypes, d.u16(2)), d.u16(2))
	d.add(&l.Field, 4, 2, "Link-layer address length: %d", d.u16(4))
	d.address(&l.Field, 6, int(d.u16(4)))
	d.add(&l.Field, 14, 2, "Protocol: %s", cookedType(d.u16(14)))
	d.inCooked(d.u16(14), 16)
}

func (d *dissector) cooked2() {
	d.protocol("sll")
	if !d.has(0, 20) {
		d.cut("SLL")
		return
	}
	l := d.layer("sll", 0, 20, "Linux cooked capture v2")
	d.add(&l.Field, 0, 2, "Protocol: %s", cookedType(d.u16(0)))
	d.add(&l.Field, 4, 4, "Interface index: %d", d.u32(4))
	d.add(&l.Field, 8, 2, "Link-layer address type: %s (%d)", named(hardwareTypes, d.u16(8)), d.u16(8))
	d.add(&l.Field, 10, 1, "Packet type: %s (%d)", named(packetTypes, uint16(d.u8(10))), d.u8(10))
	d.add(&l.Field, 11, 1, "Link-layer address length: %d", d.u8(11))
	d.address(&l.Field, 12, int(d.u8(11)))
	d.inCooked(d.u16(0), 20)
}

func (d *dissector) inCooked(kind uint16, at int) {
	if kind >= minEtherType {
		d.protocol("ethertype")
	}
	d.network(kind, at)
}
