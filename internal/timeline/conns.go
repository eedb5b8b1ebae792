package timeline

import (
	"cmp"
	"net/netip"
	"slices"

	"kax/internal/wire"
)

// key names a connection whichever side speaks: its ends in an order of their
// own. Without pointers and gaps, it is hashed as one piece of memory.
type key struct {
	addr [2][16]byte
	port [2]uint16
}

// keyOf returns the key of two ends, and where in it a stands. Packets have no
// zones, so those of addresses do not count.
func keyOf(a, b netip.AddrPort) (k key, first bool) {
	k = key{[2][16]byte{a.Addr().As16(), b.Addr().As16()}, [2]uint16{a.Port(), b.Port()}}
	if k.port[0] < k.port[1] || k.port[0] == k.port[1] && slices.Compare(k.addr[0][:], k.addr[1][:]) <= 0 {
		return k, true
	}
	k.addr[0], k.addr[1] = k.addr[1], k.addr[0]
	k.port[0], k.port[1] = k.port[1], k.port[0]
	return k, false
}

// Bounds of what is remembered at a time.
const (
	// MaxConns is how many open connections a Tracker follows: of more, it
	// forgets the one that has been silent for longest.
	MaxConns = 50_000
	// maxOver is how many that are over it still knows: a last acknowledgment, or
	// something sent again, is no new connection.
	maxOver = 4096
)

// conns are the connections that a Tracker knows: those that go on, and the last
// that are over.
type conns struct {
	byKey   map[key]*conn
	lately  [latelySize]*conn // of the last packets, by their ports: most need no hash
	open    int
	clock   uint64  // of conn.heard
	silent  []*conn // those that were open at sorted, silent for longest first, but for those taken
	sorted  uint64
	over    []*conn // a ring
	nextOut int     // in over, when it is full
}

// latelySize is a power of two.
const latelySize = 1 << 12

func (cs *conns) slot(a, b uint16) **conn { return &cs.lately[(a^b)%latelySize] }

// of returns the connection of a segment, or nil, and which side sent it.
func (cs *conns) of(s *wire.Segment) (*conn, int) {
	slot := cs.slot(s.Src.Port(), s.Dst.Port())
	if c := *slot; c != nil {
		switch {
		case s.Src == c.ends.client && s.Dst == c.ends.server:
			return c, client
		case s.Src == c.ends.server && s.Dst == c.ends.client:
			return c, server
		}
	}
	k, first := keyOf(s.Src, s.Dst)
	c := cs.byKey[k]
	if c == nil {
		return nil, client
	}
	*slot = c
	if first == c.clientFirst {
		return c, client
	}
	return c, server
}

func (cs *conns) add(c *conn) {
	if cs.byKey == nil {
		cs.byKey = make(map[key]*conn)
	}
	cs.byKey[c.key] = c
	*cs.slot(c.key.port[0], c.key.port[1]) = c
	cs.open++
	cs.hear(c)
}

// hear notes that c has been heard.
func (cs *conns) hear(c *conn) {
	cs.clock++
	c.heard = cs.clock
}

// oldest returns the open connection that has been silent for longest. It sorts
// them when it has to: whichever was heard after that is younger than all that
// were not.
func (cs *conns) oldest() *conn {
	for {
		for len(cs.silent) > 0 {
			c := cs.silent[0]
			cs.silent = cs.silent[1:]
			if !c.written && c.heard <= cs.sorted {
				return c
			}
		}
		cs.silent, cs.sorted = cs.rest(), cs.clock
		slices.SortFunc(cs.silent, func(a, b *conn) int { return cmp.Compare(a.heard, b.heard) })
	}
}

// end moves c to those that are over.
func (cs *conns) end(c *conn) {
	cs.open--
	if len(cs.over) < maxOver {
		cs.over = append(cs.over, c)
		return
	}
	cs.forget(cs.over[cs.nextOut])
	cs.over[cs.nextOut] = c
	cs.nextOut = (cs.nextOut + 1) % maxOver
}

// forget drops c, unless another has its ports by now.
func (cs *conns) forget(c *conn) {
	if cs.byKey[c.key] == c {
		delete(cs.byKey, c.key)
	}
	if slot := cs.slot(c.key.port[0], c.key.port[1]); *slot == c {
		*slot = nil
	}
}

// rest returns the connections that go on, in the order of their numbers.
func (cs *conns) rest() []*conn {
	all := make([]*conn, 0, cs.open)
	for _, c := range cs.byKey {
		if !c.written {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *conn) int { return cmp.Compare(a.rec.ID, b.rec.ID) })
	return all
}

// find returns the connection of a segment, a new one where it is the first,
// and which side sent it.
func (t *Tracker) find(s *wire.Segment) (*conn, int) {
	if c, side := t.conns.of(s); c != nil {
		if !c.renewedBy(side, s) {
			t.conns.hear(c)
			return c, side
		}
		t.end(c)
	}
	// A client's port is mostly the higher one; a SYN leaves no doubt.
	fromClient := s.Src.Port() >= s.Dst.Port()
	if s.Flags&wire.SYN != 0 {
		fromClient = s.Flags&wire.ACK == 0
	}
	if fromClient {
		return t.open(pair{s.Src, s.Dst}), client
	}
	return t.open(pair{s.Dst, s.Src}), server
}

// renewedBy reports that a segment opens another connection on the ports of c.
func (c *conn) renewedBy(side int, s *wire.Segment) bool {
	switch {
	case s.Flags&(wire.SYN|wire.ACK|wire.RST) != wire.SYN:
		return false
	case c.over:
		return true
	case c.active == 0: // a program has told of it already
		return false
	case side == server: // both may open it at once (RFC 9293 section 3.5)
		return c.established
	}
	return !c.half[client].isnKnown || s.Seq != c.half[client].isn
}

func (t *Tracker) open(p pair) *conn {
	if t.conns.open >= t.maxConns {
		t.evict()
	}
	t.opened++
	k, first := keyOf(p.client, p.server)
	c := &conn{ends: p, key: k, clientFirst: first, rec: Conn{ID: t.opened, Client: p.client, Server: p.server, Close: NotYet}}
	t.conns.add(c)
	return c
}

// evict forgets the connection that has been silent for longest.
func (t *Tracker) evict() {
	c := t.conns.oldest()
	if c.rec.Close == NotYet {
		c.rec.Close = Evicted
	}
	t.sum.Evicted++
	t.end(c)
	t.conns.forget(c)
}

// named returns the connection that a program tells of.
func (t *Tracker) named(p pair) *conn {
	k, _ := keyOf(p.client, p.server)
	if c, ok := t.conns.byKey[k]; ok {
		return c
	}
	return t.open(p)
}
