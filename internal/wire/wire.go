// Package wire turns the bytes of a frame into addresses and a TCP segment.
package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// A Segment is one TCP segment with its addresses. Decode fills it in place,
// so that one value serves for any number of frames.
type Segment struct {
	Src, Dst netip.AddrPort
	Seq, Ack uint32
	Flags    Flags
	Window   uint16 // as it stands in the header
	Scale    int8   // window scale option, or -1
	Len      int    // bytes of data, from the IP header: the frame may hold fewer
	Payload  []byte // what the frame holds of them; shares the frame's memory
}

// What Decode says of a frame it cannot make a segment of.
var (
	ErrNotTCP = errors.New("not a TCP segment")
	ErrShort  = errors.New("frame ends inside a header")
	ErrBad    = errors.New("header lengths contradict each other")
)

// IEEE 802 numbers.
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	etherVLAN = 0x8100
	etherQinQ = 0x88a8
	protoTCP  = 6
)

// DecodeEthernet reads an Ethernet frame, tagged or not. Segment offload makes
// frames of a local capture larger than any MTU and leaves checksums to be
// filled in by a network card, so neither is checked.
func DecodeEthernet(frame []byte, s *Segment) error {
	if len(frame) < 14 {
		return ErrShort
	}
	kind, rest := binary.BigEndian.Uint16(frame[12:]), frame[14:]
	for kind == etherVLAN || kind == etherQinQ {
		if len(rest) < 4 {
			return ErrShort
		}
		kind, rest = binary.BigEndian.Uint16(rest[2:]), rest[4:]
	}
	switch kind {
	case etherIPv4:
		return decodeIPv4(rest, s)
	case etherIPv6:
		return decodeIPv6(rest, s)
	}
	return ErrNotTCP
}

// RFC 791 section 3.1.
func decodeIPv4(b []byte, s *Segment) error {
	if len(b) < 20 {
		return ErrShort
	}
	header, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case b[0]>>4 != 4 || header < 20:
		return ErrBad
	case b[9] != protoTCP || binary.BigEndian.Uint16(b[6:])&0x1fff != 0: // a later fragment has no TCP header
		return ErrNotTCP
	case len(b) < header:
		return ErrShort
	case total == 0: // TSO on older kernels: the length did not fit
		total = len(b)
	case total < header:
		return ErrBad
	}
	src := netip.AddrFrom4([4]byte(b[12:16]))
	dst := netip.AddrFrom4([4]byte(b[16:20]))
	return decodeTCP(clip(b, total)[header:], total-header, src, dst, s)
}

// IPv6 extension headers (RFC 8200 section 4) that may stand before TCP.
const (
	extHopByHop = 0
	extRouting  = 43
	extFragment = 44
	extDestOpts = 60
)

func decodeIPv6(b []byte, s *Segment) error {
	if len(b) < 40 {
		return ErrShort
	}
	if b[0]>>4 != 6 {
		return ErrBad
	}
	left := int(binary.BigEndian.Uint16(b[4:]))
	if left == 0 { // a jumbogram, or offload: the length did not fit
		left = len(b) - 40
	}
	next, src, dst := b[6], netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	b = clip(b[40:], left)
	for next != protoTCP {
		if len(b) < 8 {
			if next == extHopByHop || next == extRouting || next == extFragment || next == extDestOpts {
				return ErrShort
			}
			return ErrNotTCP
		}
		size := 8
		switch next {
		case extHopByHop, extRouting, extDestOpts:
			size += int(b[1]) * 8
		case extFragment:
			if binary.BigEndian.Uint16(b[2:])&0xfff8 != 0 {
				return ErrNotTCP
			}
		default:
			return ErrNotTCP
		}
		if len(b) < size {
			return ErrShort
		}
		next, b, left = b[0], b[size:], left-size
	}
	return decodeTCP(b, left, src, dst, s)
}

// decodeTCP reads a TCP header (RFC 9293 section 3.1). length is what the IP
// header says is there, header and data.
func decodeTCP(b []byte, length int, src, dst netip.Addr, s *Segment) error {
	if len(b) < 20 {
		return ErrShort
	}
	header := int(b[12]>>4) * 4
	switch {
	case header < 20 || header > length:
		return ErrBad
	case header > len(b):
		return ErrShort
	}
	*s = Segment{
		Src:     netip.AddrPortFrom(src, binary.BigEndian.Uint16(b[0:])),
		Dst:     netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:])),
		Seq:     binary.BigEndian.Uint32(b[4:]),
		Ack:     binary.BigEndian.Uint32(b[8:]),
		Flags:   Flags(binary.BigEndian.Uint16(b[12:]) & 0x01ff),
		Window:  binary.BigEndian.Uint16(b[14:]),
		Scale:   -1,
		Len:     length - header,
		Payload: b[header:],
	}
	if s.Flags&SYN != 0 {
		s.Scale = windowScale(b[20:header])
	}
	return nil
}

// windowScale finds option 3 (RFC 7323 section 2.2), or -1.
func windowScale(opts []byte) int8 {
	for len(opts) > 0 {
		switch {
		case opts[0] == 0: // end of list
			return -1
		case opts[0] == 1: // no operation
			opts = opts[1:]
			continue
		case len(opts) < 2 || opts[1] < 2 || int(opts[1]) > len(opts):
			return -1
		case opts[0] == 3 && opts[1] == 3:
			return int8(min(opts[2], 14)) // larger is taken as 14 (section 2.3)
		}
		opts = opts[opts[1]:]
	}
	return -1
}

func clip(b []byte, n int) []byte { return b[:min(len(b), n)] }
