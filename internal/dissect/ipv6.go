package dissect

import (
	"net"
	"net/netip"

	"kax/internal/timeline"
)

// ipv6 dissects an IPv6 packet (RFC 8200 section 3) and what it holds.
func (d *dissector) ipv6(at int) {
	d.protocol("ipv6")
	if !d.has(at, 40) {
		d.cut("IPv6")
		return
	}
	word := d.u32(at)
	if word>>28 != 6 {
		l := d.layer("ipv6", at, 1, "Internet Protocol Version 6")
		d.add(&l.Field, at, 1, "%s = Version: %d", bits(word>>24, 0xf0, 8), word>>28)
		return
	}
	src, dst := netip.AddrFrom16([16]byte(d.frame[at+8:])), netip.AddrFrom16([16]byte(d.frame[at+24:]))
	l := &d.layer("ipv6", at, 40, "Internet Protocol Version 6, Src: %s, Dst: %s", src, dst).Field
	d.add(l, at, 1, "%s = Version: 6", bits(word>>24, 0xf0, 8))
	class := byte(word >> 20)
	f := d.add(l, at, 4, "%s = Traffic Class: %s", bits(word, 0x0ff00000, 32), services(class))
	d.add(f, at, 4, "%s = Differentiated Services Codepoint: %s (%d)", bits(word, 0x0fc00000, 32), named(dscpNames, class>>2), class>>2)
	d.add(f, at, 4, "%s = Explicit Congestion Notification: %s (%d)", bits(word, 0x00300000, 32), ecnNames[class&3], class&3)
	d.add(l, at+1, 3, "%s = Flow Label: 0x%05x", bits(word, 0x000fffff, 24), word&0xfffff)
	length, next := int(d.u16(at+4)), d.u8(at+6)
	d.add(l, at+4, 2, "Payload Length: %d", length)
	d.add(l, at+6, 1, "Next Header: %s (%d)", named(ipProtocols, next), next)
	d.add(l, at+7, 1, "Hop Limit: %d", d.u8(at+7))
	d.add(l, at+8, 16, "Source Address: %s", src)
	d.add(l, at+24, 16, "Destination Address: %s", dst)
	d.madeFromMAC(l, "Source", at+8)
	d.madeFromMAC(l, "Destination", at+24)
	end := at + 40 + length
	if length == 0 { // a jumbogram, or offload: the length did not fit
		end = max(d.Length, at+40)
	} else {
		d.trailer(end)
	}
	d.ipv6Chain(next, at+40, end, l)
}

// madeFromMAC shows the hardware address that an interface identifier is made
// from (RFC 4291 appendix A): its bit for universal ones is turned over.
func (d *dissector) madeFromMAC(l *timeline.Field, label string, at int) {
	id := d.frame[at+8 : at+16]
	if d.u8(at) == 0xff || id[0]&2 == 0 || id[3] != 0xff || id[4] != 0xfe {
		return
	}
	d.add(l, at+8, 8, "[%s SLAAC MAC: %s]", label, net.HardwareAddr{id[0] ^ 2, id[1], id[2], id[5], id[6], id[7]})
}

var extensions = map[byte]struct{ abbreviation, title string }{
	0:  {"ipv6.hopopts", "IPv6 Hop-by-Hop Option"},
	43: {"ipv6.routing", "Routing Header for IPv6"},
	44: {"ipv6.fraghdr", "Fragment Header for IPv6"},
	60: {"ipv6.dstopts", "Destination Options for IPv6"},
}

// ipv6Chain dissects extension headers (RFC 8200 section 4), which are fields of
// the IP layer l, and what follows them.
func (d *dissector) ipv6Chain(next byte, at, end int, l *timeline.Field) {
	for {
		ext, ok := extensions[next]
		if !ok {
			d.payload(next, at, end, false)
			return
		}
		d.protocol(ext.abbreviation)
		if !d.has(at, 8) {
			d.cut(ext.title)
			return
		}
		if l == nil { // of a datagram in pieces
			l = &d.layer("ipv6", at, 0, "Internet Protocol Version 6, continued").Field
		}
		if next == 44 {
			if d.ipv6Fragment(l, at) {
				d.payload(d.u8(at), at+8, end, true)
				return
			}
			next, at = d.u8(at), at+8
			continue
		}
		size := 8 + 8*int(d.u8(at+1))
		f := d.add(l, at, size, "%s", ext.title)
		d.add(f, at, 1, "Next Header: %s (%d)", named(ipProtocols, d.u8(at)), d.u8(at))
		d.add(f, at+1, 1, "Length: %d", d.u8(at+1))
		d.add(f, at+1, 0, "[Length: %s]", count(size, "byte"))
		if !d.has(at, size) {
			d.cut(ext.title)
			return
		}
		if next == 43 {
			d.ipv6Routing(f, at, size)
		} else {
			d.ipv6Options(f, at+2, at+size)
		}
		next, at = d.u8(at), at+size
	}
}

// ipv6Fragment reports whether the packet is a piece of a larger one.
func (d *dissector) ipv6Fragment(l *timeline.Field, at int) bool {
	word := d.u16(at + 2)
	f := d.add(l, at, 8, "Fragment Header for IPv6")
	d.add(f, at, 1, "Next header: %s (%d)", named(ipProtocols, d.u8(at)), d.u8(at))
	d.add(f, at+1, 1, "Reserved octet: 0x%02x", d.u8(at+1))
	d.add(f, at+2, 2, "%s = Offset: %d (%s)", bits(uint32(word), 0xfff8, 16), word>>3, count(int(word&^7), "byte"))
	d.add(f, at+2, 2, "%s = Reserved bits: %d", bits(uint32(word), 0x0006, 16), word>>1&3)
	d.add(f, at+2, 2, "%s = More Fragments: %s", bits(uint32(word), 0x0001, 16), choose(word&1 != 0, "Yes", "No"))
	d.add(f, at+4, 4, "Identification: 0x%08x", d.u32(at+4))
	piece := word&^6 != 0
	if piece && d.datagram != nil {
		d.add(l, at+8, 0, "[Reassembled IPv6 length: %d]", d.datagram.length)
	}
	return piece
}

var routingTypes = map[byte]string{0: "Source Route", 2: "Type 2", 3: "RPL Source Route", 4: "Segment Routing"}

func (d *dissector) ipv6Routing(f *timeline.Field, at, size int) {
	kind := d.u8(at + 2)
	f.Text += " (" + named(routingTypes, kind) + ")"
	d.add(f, at+2, 1, "Type: %s (%d)", named(routingTypes, kind), kind)
	d.add(f, at+3, 1, "Segments Left: %d", d.u8(at+3))
	if kind != 4 { // RFC 8754 section 2
		d.add(f, at+4, size-4, "Type-Specific Data: %s", octets(d.frame[at+4:at+size]))
		return
	}
	d.add(f, at+4, 1, "Last Entry: %d", d.u8(at+4))
	d.add(f, at+5, 1, "Flags: 0x%02x", d.u8(at+5))
	d.add(f, at+6, 2, "Tag: %04x", d.u16(at+6))
	for i := 0; 8+16*(i+1) <= size; i++ {
		d.add(f, at+8+16*i, 16, "Address[%d]: %s", i, netip.AddrFrom16([16]byte(d.frame[at+8+16*i:])))
	}
}

var (
	ipv6Options = map[byte]string{
		0x00: "Pad1", 0x01: "PadN", 0x05: "Router Alert", 0x26: "Quick-Start", 0x63: "RPL Option", 0xc2: "Jumbo Payload", 0xc9: "Home Address",
	}
	routerAlerts = map[uint16]string{0: "MLD", 1: "RSVP", 2: "Active Network"}
	ipv6Actions  = [4]string{"Skip and continue", "Discard", "Discard and send ICMP Parameter Problem to packet's Source Address",
		"Discard and if packet's Destination Address was not a multicast address, send ICMP Parameter Problem to packet's Source Address"}
)

func (d *dissector) ipv6Options(to *timeline.Field, at, end int) {
	for at < end {
		kind, size := d.u8(at), 1
		name, ok := ipv6Options[kind]
		if !ok {
			name = "Unknown IPv6 Option"
		}
		if kind != 0 {
			if at+2 > end || at+2+int(d.u8(at+1)) > end {
				d.add(to, at, end-at, "%s (option goes past end of options)", name)
				return
			}
			size = 2 + int(d.u8(at+1))
		}
		title := name
		if !ok {
			title += " (" + count(size, "byte") + ")"
		}
		f := d.add(to, at, size, "%s", title)
		t := d.add(f, at, 1, "Type: %s (0x%02x)", name, kind)
		d.add(t, at, 1, "%s = Action: %s (%d)", bits(uint32(kind), 0xc0, 8), ipv6Actions[kind>>6], kind>>6)
		d.add(t, at, 1, "%s = May Change: %s", bits(uint32(kind), 0x20, 8), choose(kind&0x20 != 0, "Yes", "No"))
		d.add(t, at, 1, "%s = Low-Order Bits: 0x%02x", bits(uint32(kind), 0x1f, 8), kind&0x1f)
		if size > 1 {
			d.add(f, at+1, 1, "Length: %d", size-2)
		}
		switch {
		case kind == 0x01:
			d.add(f, at+2, size-2, "PadN: %s", choose(size > 2, octets(d.frame[at+2:at+size]), "<none>"))
		case kind == 0x05 && size == 4:
			d.add(f, at+2, 2, "Router Alert: %s (%d)", named(routerAlerts, d.u16(at+2)), d.u16(at+2))
		case kind == 0xc2 && size == 6:
			d.add(f, at+2, 4, "Payload Length: %d", d.u32(at+2))
		case size > 2:
			d.add(f, at+2, size-2, "Data: %s", octets(d.frame[at+2:at+size]))
		}
		at += size
	}
}
