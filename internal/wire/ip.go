package wire

import (
	"encoding/binary"
	"net/netip"
)

const protoTCP = 6

// RFC 791 section 3.1.
func decodeIPv4(b []byte, s *Segment) error {
	header, total, err := ipv4Lengths(b)
	if err != nil {
		return err
	}
	if binary.BigEndian.Uint16(b[6:])&(moreFragments|fragmentOffset) != 0 {
		return ErrFragment
	}
	src := netip.AddrFrom4([4]byte(b[12:16]))
	dst := netip.AddrFrom4([4]byte(b[16:20]))
	return decodeTCP(clip(b, total)[header:], total-header, src, dst, s)
}

// The word of an IPv4 header about fragments.
const (
	moreFragments  = 0x2000
	fragmentOffset = 0x1fff // in units of 8 bytes
)

// ipv4Lengths returns the lengths of the header, which is all there, and of the
// packet, which holds TCP.
func ipv4Lengths(b []byte) (header, total int, err error) {
	if len(b) < 20 {
		return 0, 0, ErrShort
	}
	header, total = int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case b[0]>>4 != 4 || header < 20:
		return 0, 0, ErrBad
	case b[9] != protoTCP:
		return 0, 0, ErrNotTCP
	case len(b) < header:
		return 0, 0, ErrShort
	case total == 0: // segmentation offload: the length did not fit
		total = len(b)
	case total < header:
		return 0, 0, ErrBad
	}
	return header, total, nil
}

// IPv6 extension headers (RFC 8200 section 4) that may stand before TCP.
const (
	extHopByHop = 0
	extRouting  = 43
	extFragment = 44
	extDestOpts = 60
)

func decodeIPv6(b []byte, s *Segment) error {
	next, rest, left, err := ipv6Payload(b)
	switch {
	case err != nil:
		return err
	case next == extFragment:
		return ErrFragment
	}
	src, dst := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	return decodeTCP(rest, left, src, dst, s)
}

// ipv6Payload finds the TCP header in an IPv6 packet, or the header of a
// fragment that may hold TCP. left counts the bytes from there on, by the IP
// header; b may hold fewer, and rest has no more than those.
func ipv6Payload(b []byte) (next byte, rest []byte, left int, err error) {
	if len(b) < 40 {
		return 0, nil, 0, ErrShort
	}
	if b[0]>>4 != 6 {
		return 0, nil, 0, ErrBad
	}
	next, rest, left = b[6], b[40:], int(binary.BigEndian.Uint16(b[4:]))
	if left == 0 { // a jumbogram, or offload: the length did not fit
		left = len(rest)
		if n := jumboLength(next, rest); n != 0 {
			left = n
		}
	}
	if next == protoTCP {
		return next, clip(rest, left), left, nil
	}
	return skipExtensions(next, clip(rest, left), left)
}

// skipExtensions goes past extension headers to TCP, or to the header of a
// fragment that may hold TCP. One of a datagram in one piece is like any other
// (RFC 6946).
func skipExtensions(next byte, b []byte, left int) (byte, []byte, int, error) {
	for next != protoTCP {
		if !mayPrecedeTCP(next) && next != extFragment && next != extHopByHop {
			return 0, nil, 0, ErrNotTCP
		}
		if len(b) < 8 {
			return 0, nil, 0, ErrShort
		}
		size := 8
		if next != extFragment {
			size += int(b[1]) * 8
		} else if binary.BigEndian.Uint16(b[2:])&^6 != 0 { // an offset, or more to come
			if b[0] != protoTCP && !mayPrecedeTCP(b[0]) {
				return 0, nil, 0, ErrNotTCP
			}
			return next, b, left, nil
		}
		if len(b) < size {
			return 0, nil, 0, ErrShort
		}
		next, b, left = b[0], b[size:], left-size
	}
	return next, b, left, nil
}

// mayPrecedeTCP names the extension headers that may stand inside a fragment.
func mayPrecedeTCP(next byte) bool { return next == extRouting || next == extDestOpts }

// jumboLength is the payload's length by the option of RFC 2675 section 2, which
// Linux puts first among the hop-by-hop options of packets longer than 64 KiB
// (ipv6_has_hopopt_jumbo), or 0.
func jumboLength(next byte, b []byte) int {
	if next != extHopByHop || len(b) < 8 || b[2] != 0xc2 || b[3] != 4 {
		return 0
	}
	return int(binary.BigEndian.Uint32(b[4:]) & 0x7fffffff)
}

func clip(b []byte, n int) []byte { return b[:min(len(b), n)] }
