package dissect

import (
	"fmt"

	"kax/internal/wire"
)

// Guess says how a frame of unknown origin begins, and what shows it. Without
// any sign it is taken for Ethernet, and sure is false.
func Guess(frame []byte) (link wire.Link, why string, sure bool) {
	kind, isEthernet := "", false
	if len(frame) >= 14 {
		n := uint16(frame[12])<<8 | uint16(frame[13])
		kind, isEthernet = etherTypes[n], n == 0x0800 || n == 0x86dd
	}
	typed := fmt.Sprintf("bytes 12 and 13 are the EtherType of %s", kind)
	// An address of Ethernet may look like the beginning of anything.
	if isEthernet && isIP(frame[14:]) {
		return wire.Ethernet, typed + ", and an IP header follows", true
	}
	for _, g := range []struct {
		link wire.Link
		ip   int // where the IP packet begins
		why  string
	}{
		{wire.Raw, 0, "it begins with an IP header"},
		{wire.Null, 4, "its first 4 bytes are an address family, and an IP header follows"},
		{wire.SLL2, 20, "an IP header follows the 20 bytes of a cooked header"},
		{wire.SLL, 16, "an IP header follows the 16 bytes of a cooked header"},
	} {
		if beginsWith(g.link, frame) && isIP(frame[g.ip:]) {
			return g.link, g.why, true
		}
	}
	if kind != "" {
		return wire.Ethernet, typed, true
	}
	return wire.Ethernet, "nothing shows that it is anything else", false
}

// beginsWith reports whether a frame may begin with a header of link.
func beginsWith(link wire.Link, b []byte) bool {
	switch link {
	case wire.Null:
		if len(b) < 4 {
			return false
		}
		name := families[wire.Family(link, b)]
		return name == "IP" || name == "IPv6" || wire.Family(link, b) == 10
	case wire.SLL: // packet type, and a protocol
		return len(b) >= 16 && b[0] == 0 && b[1] <= 4 && (b[14] == 0x08 && b[15] == 0 || b[14] == 0x86 && b[15] == 0xdd)
	case wire.SLL2: // a protocol, reserved bytes, packet type
		return len(b) >= 20 && (b[0] == 0x08 && b[1] == 0 || b[0] == 0x86 && b[1] == 0xdd) && b[2] == 0 && b[3] == 0 && b[10] <= 4
	}
	return true
}

// isIP reports whether b may be an IP packet: version, header length, and a length
// that is in keeping with what there is.
func isIP(b []byte) bool {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		header, total := int(b[0]&0xf)*4, int(b[2])<<8|int(b[3])
		return header >= 20 && (total == 0 || total >= header) && b[8] != 0
	case len(b) >= 40 && b[0]>>4 == 6:
		_, known := ipProtocols[b[6]]
		return known
	}
	return false
}
