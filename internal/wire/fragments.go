package wire

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Bounds on what a Decoder holds. Linux holds 4 MiB (ipfrag_high_thresh); a
// whole datagram needs 64 KiB, and twice that where it comes in small pieces.
const (
	maxDatagrams = 64
	maxHeld      = 1 << 20 // bytes, with pieceCost for each piece
	pieceCost    = 64
	maxDatagram  = 1<<16 - 1
)

// A Decoder reads frames as [Decode] does, and puts the fragments of IP
// datagrams together. What it holds is bounded, at about a megabyte: the oldest
// datagram makes room. The zero value is ready for use.
type Decoder struct {
	held  []*datagram // the oldest first
	bytes int         // of all that is held
	whole []byte      // the last datagram that was put together; memory of its own
	first byte        // the header that it begins with
	total int         // its length
}

// Decode reads a frame. A fragment is ErrFragment until all of its datagram is
// there: the fragment that completes it gives the segment, whose Payload does then
// not share the frame's memory.
//
// Fragments that overlap void their datagram, as in Linux
// (inet_frag_queue_insert) and by RFC 5722; a repeated one is ignored.
func (d *Decoder) Decode(l Link, frame []byte, s *Segment) error {
	err := Decode(l, frame, s)
	if err != ErrFragment { //nolint:errorlint // the error itself, and this is the path of every frame
		return err
	}
	p, key, err := fragment(l, frame)
	if err != nil {
		return err
	}
	return d.add(key, p, s)
}

// Datagram returns what follows the IP header in the last datagram that was put
// together: the header that begins there (an IP protocol number), the bytes up to
// the first that a snapped frame lacks, and how many there are in all. It is valid
// until the next call of Decode.
func (d *Decoder) Datagram() (first byte, payload []byte, length int) {
	return d.first, d.whole, d.total
}

// ident is what all fragments of a datagram have in common (RFC 791 section
// 3.2, RFC 8200 section 4.5).
type ident struct {
	src, dst netip.Addr
	id       uint32
}

// A datagram is what has come of one.
type datagram struct {
	ident
	next   byte    // the header that its bytes begin with
	pieces []piece // by offset, without overlaps
	have   int     // bytes, all pieces
	total  int     // or -1, until the last piece is there
	cost   int
}

// A piece is the part of a datagram from one offset to another. A snapped frame
// holds less of it.
type piece struct {
	from, to int
	last     bool
	next     byte
	data     []byte
}

// fragment reads a frame that Decode has called a fragment.
func fragment(l Link, frame []byte) (piece, ident, error) {
	version, b, err := network(l, frame)
	if err != nil {
		return piece{}, ident{}, err
	}
	if version == 4 {
		header, total, err := ipv4Lengths(b)
		if err != nil {
			return piece{}, ident{}, err
		}
		word := binary.BigEndian.Uint16(b[6:])
		from := int(word&fragmentOffset) * 8
		return piece{from: from, to: from + total - header, last: word&moreFragments == 0, next: protoTCP, data: clip(b, total)[header:]},
			ident{netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), uint32(binary.BigEndian.Uint16(b[4:]))}, nil
	}
	_, rest, left, err := ipv6Payload(b)
	if err != nil {
		return piece{}, ident{}, err
	}
	word := binary.BigEndian.Uint16(rest[2:])
	from := int(word &^ 7)
	return piece{from: from, to: from + left - 8, last: word&1 == 0, next: rest[0], data: rest[8:]},
		ident{netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), binary.BigEndian.Uint32(rest[4:])}, nil
}

// add keeps a piece, and decodes the datagram that it completes.
func (d *Decoder) add(key ident, p piece, s *Segment) error {
	size := p.to - p.from
	if size == 0 || p.to > maxDatagram || !p.last && size%8 != 0 {
		return ErrBad
	}
	i := slices.IndexFunc(d.held, func(g *datagram) bool { return g.ident == key })
	if i < 0 {
		if len(d.held) == maxDatagrams {
			d.drop(0)
		}
		i = len(d.held)
		d.held = append(d.held, &datagram{ident: key, total: -1})
	}
	g := d.held[i]
	at, repeated, ok := g.place(p)
	switch {
	case !ok:
		d.drop(i)
		return ErrBad
	case repeated:
		return ErrFragment
	}
	if p.from == 0 {
		g.next = p.next
	}
	if p.last {
		g.total = p.to
	}
	g.have += size
	if g.have == g.total {
		g.pieces = slices.Insert(g.pieces, at, p)
		d.drop(i)
		d.assemble(g)
		return g.decode(d.whole, s)
	}
	p.data = slices.Clone(p.data)
	g.pieces = slices.Insert(g.pieces, at, p)
	cost := len(p.data) + pieceCost
	g.cost += cost
	d.bytes += cost
	for d.bytes > maxHeld { // one datagram alone never is
		oldest := 0
		if d.held[0] == g {
			oldest = 1
		}
		d.drop(oldest)
	}
	return ErrFragment
}

// place finds where a piece belongs; one that contradicts the others is not ok.
func (g *datagram) place(p piece) (at int, repeated, ok bool) {
	at, _ = slices.BinarySearchFunc(g.pieces, p.from, func(q piece, from int) int { return q.from - from })
	for _, near := range []int{at - 1, at} {
		if near < 0 || near >= len(g.pieces) {
			continue
		}
		q := g.pieces[near]
		switch {
		case q.from <= p.from && p.to <= q.to:
			return at, true, p.last == (q.last && p.to == q.to)
		case p.from < q.to && q.from < p.to:
			return at, false, false
		}
	}
	if g.total >= 0 && (p.last || p.to > g.total) {
		return at, false, false // it ends elsewhere
	}
	if p.last && len(g.pieces) > 0 && g.pieces[len(g.pieces)-1].to > p.to {
		return at, false, false
	}
	return at, false, true
}

// drop forgets a datagram.
func (d *Decoder) drop(i int) {
	d.bytes -= d.held[i].cost
	d.held = slices.Delete(d.held, i, i+1)
}

// assemble joins the pieces up to the first byte that a snapped frame lacks.
func (d *Decoder) assemble(g *datagram) {
	d.first, d.whole, d.total = g.next, nil, g.total
	for _, p := range g.pieces {
		d.whole = append(d.whole, p.data...)
		if len(p.data) < p.to-p.from {
			return
		}
	}
}

func (g *datagram) decode(b []byte, s *Segment) error {
	next, b, left, err := skipExtensions(g.next, b, g.total)
	switch {
	case err != nil:
		return err
	case next == extFragment: // in a fragment
		return ErrBad
	}
	return decodeTCP(b, left, g.src, g.dst, s)
}
