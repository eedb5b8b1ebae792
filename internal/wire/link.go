package wire

import "strconv"

// Link says how a frame begins, by the number that capture files have for it
// (LINKTYPE_… of the tcpdump group's registry).
type Link uint16

// The link types that [Decode] reads.
const (
	Null     Link = 0   // BSD loopback: the address family, in the capturing machine's byte order
	Ethernet Link = 1   // VLAN tags included
	RawDLT   Link = 12  // raw IP, as some systems number it
	Raw      Link = 101 // raw IP, of either version
	Loop     Link = 108 // OpenBSD loopback: the address family, in network byte order
	SLL      Link = 113 // Linux cooked capture
	IPv4     Link = 228 // raw IPv4
	IPv6     Link = 229 // raw IPv6
	SLL2     Link = 276 // Linux cooked capture v2
)

var linkNames = map[Link]string{
	Null: "null", Ethernet: "ethernet", RawDLT: "raw", Raw: "raw", Loop: "loop",
	SLL: "sll", IPv4: "raw IPv4", IPv6: "raw IPv6", SLL2: "sll2",
}

// Known reports whether frames of l can be read.
func (l Link) Known() bool { return linkNames[l] != "" }

func (l Link) String() string {
	if name := linkNames[l]; name != "" {
		return name
	}
	return "link type " + strconv.Itoa(int(l))
}
