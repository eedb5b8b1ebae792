// Package wire turns the bytes of a frame into addresses and a TCP segment.
package wire

import (
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
	ErrNotTCP   = errors.New("not a TCP segment")
	ErrFragment = errors.New("a fragment of an IP datagram")
	ErrShort    = errors.New("frame ends inside a header")
	ErrBad      = errors.New("header lengths contradict each other")
)

// Decode reads a frame of link type l. On an error s is as before. Each fragment
// of a datagram that may hold TCP is ErrFragment: a [Decoder] puts them together.
// A link type that is not [Link.Known] is an error that wraps
// [errors.ErrUnsupported]. Segment offload makes frames of a local capture larger
// than any MTU and leaves checksums to be filled in by a network card, so neither
// is checked.
func Decode(l Link, frame []byte, s *Segment) error {
	version, packet, err := network(l, frame)
	if err != nil {
		return err
	}
	switch version {
	case 4:
		return decodeIPv4(packet, s)
	case 6:
		return decodeIPv6(packet, s)
	}
	return ErrBad
}
