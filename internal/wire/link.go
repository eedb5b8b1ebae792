package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
)

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

// LinkNamed is the link type that [Link.String] calls so.
func LinkNamed(name string) (Link, bool) {
	if name == Raw.String() { // two numbers have it
		return Raw, true
	}
	for l, known := range linkNames {
		if known == name {
			return l, true
		}
	}
	return 0, false
}

// EtherTypes (IEEE 802).
const (
	etherIPv4  = 0x0800
	etherIPv6  = 0x86dd
	etherVLAN  = 0x8100
	etherQinQ  = 0x88a8
	etherQinQ1 = 0x9100 // before 802.1ad had a number
)

// network strips the link layer: the version of the IP packet in a frame, and
// the packet with whatever follows it.
func network(l Link, frame []byte) (version int, packet []byte, err error) {
	switch l {
	case Ethernet:
		if len(frame) < 14 {
			return 0, nil, ErrShort
		}
		return typed(binary.BigEndian.Uint16(frame[12:]), frame[14:])
	case Null, Loop:
		if len(frame) < 4 {
			return 0, nil, ErrShort
		}
		return family(Family(l, frame), frame[4:])
	case Raw, RawDLT:
		if len(frame) < 1 {
			return 0, nil, ErrShort
		}
		return int(frame[0] >> 4), frame, nil
	case IPv4:
		return 4, frame, nil
	case IPv6:
		return 6, frame, nil
	case SLL:
		if len(frame) < 16 {
			return 0, nil, ErrShort
		}
		return typed(binary.BigEndian.Uint16(frame[14:]), frame[16:])
	case SLL2:
		if len(frame) < 20 {
			return 0, nil, ErrShort
		}
		return typed(binary.BigEndian.Uint16(frame), frame[20:])
	}
	return 0, nil, fmt.Errorf("read a frame of %v: %w", l, errors.ErrUnsupported)
}

// typed reads what an EtherType announces; VLAN tags may come first.
func typed(kind uint16, rest []byte) (int, []byte, error) {
	for kind == etherVLAN || kind == etherQinQ || kind == etherQinQ1 {
		if len(rest) < 4 {
			return 0, nil, ErrShort
		}
		kind, rest = binary.BigEndian.Uint16(rest[2:]), rest[4:]
	}
	switch kind {
	case etherIPv4:
		return 4, rest, nil
	case etherIPv6:
		return 6, rest, nil
	}
	return 0, nil, ErrNotTCP
}

// Family is the address family that a frame of link type [Null] or [Loop]
// begins with. Null has it in the byte order of the machine that captured, which
// shows: families are small numbers.
func Family(l Link, frame []byte) uint32 {
	f := binary.BigEndian.Uint32(frame)
	if l == Null && f > 0xffff {
		return bits.ReverseBytes32(f)
	}
	return f
}

// Address families of IP. IPv4's is 2 everywhere; each system has a number of
// its own for IPv6.
const (
	afINET         = 2
	afINET6Linux   = 10
	afINET6BSD     = 24 // NetBSD, OpenBSD
	afINET6FreeBSD = 28
	afINET6Darwin  = 30
)

func family(f uint32, rest []byte) (int, []byte, error) {
	switch f {
	case afINET:
		return 4, rest, nil
	case afINET6Linux, afINET6BSD, afINET6FreeBSD, afINET6Darwin:
		return 6, rest, nil
	}
	return 0, nil, ErrNotTCP
}
