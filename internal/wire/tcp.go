package wire

import (
	"encoding/binary"
	"net/netip"
)

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
	s.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b[0:]))
	s.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:]))
	s.Seq, s.Ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	s.Flags = Flags(binary.BigEndian.Uint16(b[12:]) & 0x01ff)
	s.Window, s.Scale = binary.BigEndian.Uint16(b[14:]), -1
	s.Len, s.Payload = length-header, b[header:]
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
