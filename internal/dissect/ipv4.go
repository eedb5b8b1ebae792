package dissect

import (
	"fmt"
	"net/netip"
	"strings"

	"kax/internal/timeline"
)

var ipProtocols = map[byte]string{
	0: "IPv6 Hop-by-Hop Option", 1: "ICMP", 2: "IGMP", 4: "IPIP", 6: "TCP", 17: "UDP", 41: "IPv6", 43: "Routing Header for IPv6",
	44: "Fragment Header for IPv6", 47: "Generic Routing Encapsulation", 50: "Encap Security Payload", 51: "Authentication Header",
	58: "ICMPv6", 59: "No Next Header for IPv6", 60: "Destination Options for IPv6", 89: "OSPF IGP", 103: "PIM", 112: "VRRP", 132: "SCTP",
}

// Differentiated services code points, and the short forms of them.
var (
	dscpNames = map[byte]string{
		0: "Default", 1: "Lower Effort", 8: "Class Selector 1", 10: "Assured Forwarding 11", 12: "Assured Forwarding 12",
		14: "Assured Forwarding 13", 16: "Class Selector 2", 18: "Assured Forwarding 21", 20: "Assured Forwarding 22",
		22: "Assured Forwarding 23", 24: "Class Selector 3", 26: "Assured Forwarding 31", 28: "Assured Forwarding 32",
		30: "Assured Forwarding 33", 32: "Class Selector 4", 34: "Assured Forwarding 41", 36: "Assured Forwarding 42",
		38: "Assured Forwarding 43", 40: "Class Selector 5", 44: "Voice Admit", 46: "Expedited Forwarding",
		48: "Class Selector 6", 56: "Class Selector 7",
	}
	dscpShort = map[byte]string{
		0: "CS0", 1: "LE", 8: "CS1", 10: "AF11", 12: "AF12", 14: "AF13", 16: "CS2", 18: "AF21", 20: "AF22", 22: "AF23", 24: "CS3",
		26: "AF31", 28: "AF32", 30: "AF33", 32: "CS4", 34: "AF41", 36: "AF42", 38: "AF43", 40: "CS5", 44: "VOICE-ADMIT",
		46: "EF PHB", 48: "CS6", 56: "CS7",
	}
	ecnNames = [4]string{
		"Not ECN-Capable Transport", "ECN-Capable Transport codepoint '01'", "ECN-Capable Transport codepoint '10'", "Congestion Experienced",
	}
	ecnShort = [4]string{"Not-ECT", "ECT(1)", "ECT(0)", "CE"} //nolint:misspell // RFC 3168's word
)

// services is how Wireshark sums up the byte of differentiated services.
func services(b byte) string {
	return fmt.Sprintf("0x%02x (DSCP: %s, ECN: %s)", b, named(dscpShort, b>>2), ecnShort[b&3])
}

// ipv4 dissects an IPv4 packet (RFC 791 section 3.1) and what it holds.
func (d *dissector) ipv4(at int) {
	d.protocol("ip")
	if !d.has(at, 20) {
		d.cut("IPv4")
		return
	}
	first := uint32(d.u8(at))
	header, total := int(first&0xf)*4, int(d.u16(at+2))
	src, dst := netip.AddrFrom4([4]byte(d.frame[at+12:])), netip.AddrFrom4([4]byte(d.frame[at+16:]))
	title := fmt.Sprintf("Internet Protocol Version 4, Src: %s, Dst: %s", src, dst)
	switch {
	case first>>4 != 4:
		l := d.layer("ip", at, 1, "Internet Protocol, bogus version (%d)", first>>4)
		d.add(&l.Field, at, 1, "%s = Version: %d", bits(first, 0xf0, 8), first>>4)
		return
	case header < 20 || total != 0 && total < header:
		title = "Internet Protocol Version 4"
	}
	l := &d.layer("ip", at, max(header, 20), "%s", title).Field
	d.add(l, at, 1, "%s = Version: 4", bits(first, 0xf0, 8))
	d.add(l, at, 1, "%s = Header Length: %d bytes (%d)", bits(first, 0x0f, 8), header, header/4)
	if header < 20 {
		return
	}
	tos := d.u8(at + 1)
	f := d.add(l, at+1, 1, "Differentiated Services Field: %s", services(tos))
	d.add(f, at+1, 1, "%s = Differentiated Services Codepoint: %s (%d)", bits(uint32(tos), 0xfc, 8), named(dscpNames, tos>>2), tos>>2)
	d.add(f, at+1, 1, "%s = Explicit Congestion Notification: %s (%d)", bits(uint32(tos), 0x03, 8), ecnNames[tos&3], tos&3)
	switch {
	case total == 0:
		total = d.Length - at
		d.add(l, at+2, 2, `[Total Length: %d bytes (reported as 0, presumed to be because of "TCP segmentation offload" (TSO))]`, total)
	case total < header:
		d.add(l, at+2, 2, "Total Length: %d bytes (bogus, less than header length %d)", total, header)
		return
	default:
		d.add(l, at+2, 2, "Total Length: %d", total)
	}
	d.add(l, at+4, 2, "Identification: 0x%04x (%d)", d.u16(at+4), d.u16(at+4))
	word := d.u16(at + 6)
	d.ipv4Flags(l, at+6, word)
	d.add(l, at+6, 2, "%s = Fragment Offset: %d", bits(uint32(word), 0x1fff, 16), int(word&0x1fff)*8)
	d.add(l, at+8, 1, "Time to Live: %d", d.u8(at+8))
	proto := d.u8(at + 9)
	d.add(l, at+9, 1, "Protocol: %s (%d)", named(ipProtocols, proto), proto)
	d.add(l, at+10, 2, "Header Checksum: 0x%04x [validation disabled]", d.u16(at+10))
	d.add(l, at+10, 0, "[Header checksum status: Unverified]")
	d.add(l, at+12, 4, "Source Address: %s", src)
	d.add(l, at+16, 4, "Destination Address: %s", dst)
	if header > 20 {
		d.ipv4Options(l, at+20, at+header)
	}
	end := at + total
	d.trailer(end)
	if word&0x3fff != 0 && d.datagram != nil {
		d.add(l, at+header, 0, "[Reassembled IPv4 length: %d]", d.datagram.length)
	}
	d.payload(proto, at+header, end, word&0x3fff != 0)
}

func (d *dissector) ipv4Flags(l *timeline.Field, at int, word uint16) {
	names := []string{}
	for _, flag := range []struct {
		bit  uint16
		name string
	}{{0x8000, "Reserved bit"}, {0x4000, "Don't fragment"}, {0x2000, "More fragments"}} {
		if word&flag.bit != 0 {
			names = append(names, ", "+flag.name)
		}
	}
	f := d.add(l, at, 1, "%s = Flags: 0x%x%s", bits(uint32(word>>8), 0xe0, 8), word>>13, strings.Join(names, ""))
	d.add(f, at, 1, "%s = Reserved bit: %s", bits(uint32(word>>8), 0x80, 8), choose(word&0x8000 != 0, "Set", "Not set"))
	d.add(f, at, 1, "%s = Don't fragment: %s", bits(uint32(word>>8), 0x40, 8), choose(word&0x4000 != 0, "Set", "Not set"))
	d.add(f, at, 1, "%s = More fragments: %s", bits(uint32(word>>8), 0x20, 8), choose(word&0x2000 != 0, "Set", "Not set"))
}

// What an IPv4 option is called, and what its number is.
var (
	ipOptions = map[byte]string{
		0: "End of Options List (EOL)", 1: "No-Operation (NOP)", 7: "Record Route", 68: "Time Stamp", 130: "Security",
		131: "Loose Source Route", 136: "Stream Identifier", 137: "Strict Source Route", 148: "Router Alert",
	}
	ipOptionNumbers = map[byte]string{
		0: "End of Option List (EOL)", 1: "No-Operation (NOP)", 2: "Security", 3: "Loose source route", 4: "Time stamp",
		7: "Record route", 8: "Stream identifier", 9: "Strict source route", 20: "Router Alert",
	}
	ipOptionClasses = [4]string{"Control", "Reserved for future use", "Debugging and measurement", "Reserved for future use"}
)

func (d *dissector) ipv4Options(l *timeline.Field, at, end int) {
	all := d.add(l, at, end-at, "Options: (%s)", count(end-at, "byte"))
	end = min(end, len(d.frame))
	for at < end {
		kind, size := d.u8(at), 1
		name := named(ipOptions, kind)
		title := "IP Option - " + name
		if kind > 1 {
			if at+2 > end || d.u8(at+1) < 2 || at+int(d.u8(at+1)) > end {
				d.add(all, at, end-at, "%s (option goes past end of options)", name)
				return
			}
			size = int(d.u8(at + 1))
			all.Text += ", " + name
			title += fmt.Sprintf(" (%s)", count(size, "byte"))
		}
		alert := ""
		if kind == 148 && size == 4 {
			alert = fmt.Sprintf("%s (%d)", choose(d.u16(at+2) == 0, "Router shall examine packet", "Reserved"), d.u16(at+2))
			title += ": " + alert
		}
		f := d.add(all, at, size, "%s", title)
		t := d.add(f, at, 1, "Type: %d", kind)
		d.add(t, at, 1, "%s = Copy on fragmentation: %s", bits(uint32(kind), 0x80, 8), choose(kind&0x80 != 0, "Yes", "No"))
		d.add(t, at, 1, "%s = Class: %s (%d)", bits(uint32(kind), 0x60, 8), ipOptionClasses[kind>>5&3], kind>>5&3)
		d.add(t, at, 1, "%s = Number: %s (%d)", bits(uint32(kind), 0x1f, 8), named(ipOptionNumbers, kind&0x1f), kind&0x1f)
		if size > 1 {
			d.add(f, at+1, 1, "Length: %d", size)
		}
		switch {
		case alert != "":
			d.add(f, at+2, 2, "Router Alert: %s", alert)
		case size > 2:
			d.add(f, at+2, size-2, "Data: %s", octets(d.frame[at+2:at+size]))
		}
		if kind == 0 {
			return
		}
		at += size
	}
}

// payload dissects what an IP packet holds, from at to end by its header.
func (d *dissector) payload(proto byte, at, end int, fragment bool) {
	switch {
	case fragment && d.datagram != nil:
		d.reassembled(d.datagram)
	case fragment:
		d.data(at, end)
	case proto == 6:
		d.tcp(at, end)
	default:
		d.data(at, end)
	}
}

// reassembled dissects a datagram that came in several frames, after this one's
// own layers.
func (d *dissector) reassembled(g *datagram) {
	in := &dissector{Context: d.Context, frame: g.bytes, layers: d.layers, protocols: d.protocols, trailed: -1, elsewhere: true}
	in.datagram, in.Length = nil, g.length
	in.ipv6Chain(g.first, 0, g.length, nil)
	d.layers, d.protocols, d.seen = in.layers, in.protocols, in.seen
}
