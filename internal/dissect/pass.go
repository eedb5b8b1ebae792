package dissect

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"kax/internal/wire"
)

// A Pass goes over the packets of a file, in their order, and finds the context
// of each. It keeps a few numbers for each connection. The zero value is ready.
type Pass struct {
	decoder     wire.Decoder
	streams     map[pair]*Stream
	count       int // streams
	number      int
	first, last time.Time
}

// pair is the two ends of a connection, in an order of their own.
type pair struct{ low, high netip.AddrPort }

// A Frame is one packet of a file.
type Frame struct {
	Link      wire.Link
	Data      []byte // need not outlive the call
	Length    int    // on the wire
	Time      time.Time
	Interface *Interface
}

// Next returns the context of the next packet. Dissecting it after the last
// packet of the file shows its connection as the whole file shows it.
func (p *Pass) Next(f Frame) Context {
	p.number++
	c := Context{Link: f.Link, Number: p.number, Length: f.Length, Time: f.Time, Interface: f.Interface}
	if p.number == 1 {
		p.first, p.last = f.Time, f.Time
	}
	c.SinceFirst, c.SincePrevious = f.Time.Sub(p.first), f.Time.Sub(p.last)
	p.last = f.Time

	var s wire.Segment
	err := wire.Decode(f.Link, f.Data, &s)
	if errors.Is(err, wire.ErrFragment) {
		if err = p.decoder.Decode(f.Link, f.Data, &s); err == nil {
			first, whole, length := p.decoder.Datagram()
			c.datagram = &datagram{first, slices.Clone(whole), length}
		}
	}
	if err != nil {
		return c
	}
	st, from := p.stream(&s)
	c.Stream, c.Sender = st, from
	if st.first.IsZero() {
		st.first, st.last = f.Time, f.Time
	}
	c.StreamSinceFirst, c.StreamSincePrevious = f.Time.Sub(st.first), f.Time.Sub(st.last)
	st.last = f.Time
	side := &st.Sides[from]
	c.first = !side.sent
	c.Below = side.sent && s.Seq == side.next-1
	if next := s.Seq + uint32(s.Len) + syn(s.Flags) + fin(s.Flags); !side.sent || int32(next-side.next) > 0 {
		side.next, side.sent = next, true
	}
	return c
}

func syn(f wire.Flags) uint32 { return uint32(f & wire.SYN / wire.SYN) }
func fin(f wire.Flags) uint32 { return uint32(f & wire.FIN / wire.FIN) }

// stream finds a segment's connection, and notes what the segment tells of it.
// The rules are those of dissect_tcp in packet-tcp.c of Wireshark 4.0. (Later ones
// also begin a new stream when a SYN comes again after a FIN or RST.)
func (p *Pass) stream(s *wire.Segment) (*Stream, int) {
	key, from := pair{s.Src, s.Dst}, 0
	if s.Dst.Compare(s.Src) < 0 {
		key, from = pair{s.Dst, s.Src}, 1
	}
	opens := s.Flags&(wire.SYN|wire.ACK) == wire.SYN
	st := p.streams[key]
	switch {
	case st == nil:
		st = p.newStream(key)
		if opens {
			st.saw(SawSYN, true)
			st.saw(SawData, s.Len > 0) // TCP Fast Open
		}
	case opens && st.Sides[from].Known && s.Seq != st.Sides[from].Base:
		st = p.newStream(key) // the ports are used again
		st.saw(SawSYN, true)
		st.goOn(s)
	default:
		st.goOn(s)
	}
	st.number(from, s)
	if s.Flags&wire.SYN != 0 {
		st.scale(from, s)
		st.ecn(s.Flags)
	}
	return st, from
}

func (p *Pass) newStream(key pair) *Stream {
	st := &Stream{Index: p.count, Sides: [2]Side{{Scale: ScaleUnknown}, {Scale: ScaleUnknown}}}
	p.count++
	if p.streams == nil {
		p.streams = map[pair]*Stream{}
	}
	p.streams[key] = st
	return st
}

func (st *Stream) saw(c Completeness, it bool) {
	if it {
		st.Completeness |= c
	}
}

// goOn notes what a further segment of a connection is.
func (st *Stream) goOn(s *wire.Segment) {
	st.saw(SawSYNACK, s.Flags&wire.SYN != 0 && s.Flags&wire.ACK != 0)
	if s.Flags&(wire.SYN|wire.ACK) == wire.ACK {
		st.saw(SawData, s.Len > 0)
		st.saw(SawACK, s.Len == 0)
	}
	st.saw(SawFIN, s.Flags&wire.FIN != 0 && s.Flags&wire.ACK != 0)
	st.saw(SawRST, s.Flags&wire.RST != 0)
}

// number notes where each side's sequence numbers begin. Without a handshake
// the first byte seen is number 1.
func (st *Stream) number(from int, s *wire.Segment) {
	own, peer := &st.Sides[from], &st.Sides[1-from]
	switch {
	case s.Flags&(wire.SYN|wire.ACK) == wire.SYN|wire.ACK, !own.Known && s.Flags&wire.SYN != 0:
		own.Base, own.Known = s.Seq, true
	case !own.Known:
		own.Base, own.Known = s.Seq-1, true
	}
	if !peer.Known && s.Flags&wire.ACK != 0 {
		peer.Base, peer.Known = s.Ack-1, true
	}
}

// scale notes what a SYN says of windows: scaling takes both sides (RFC 7323
// section 2.2).
func (st *Stream) scale(from int, s *wire.Segment) {
	own, peer := &st.Sides[from], &st.Sides[1-from]
	if s.Scale >= 0 {
		own.Scale = s.Scale
	}
	switch {
	case own.Scale == ScaleUnknown:
		own.Scale, peer.Scale = NoScale, NoScale
	case s.Flags&wire.ACK != 0 && peer.Scale == NoScale:
		own.Scale = NoScale
	}
}

// ecn notes whether the ends agree on accurate ECN (RFC 9768 section 3.1).
func (st *Stream) ecn(f wire.Flags) {
	if f&wire.ACK == 0 {
		st.asked = f&(wire.AE|wire.CWR|wire.ECE) == wire.AE|wire.CWR|wire.ECE
		return
	}
	st.agreed = f&(wire.AE|wire.CWR) == wire.CWR || f&(wire.AE|wire.ECE) == wire.AE
}

// countsMarks reports whether segments count marks in their ECN bits.
func (st *Stream) countsMarks() bool { return st.asked && st.agreed }
