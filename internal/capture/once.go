package capture

import (
	"net/netip"
	"time"
)

// Once tells a packet from the same packet on another interface: on its way
// through a bridge, a tunnel or a pair of veths it passes several. Each direction
// of a connection is taken from the interface where it was seen first. When that
// one is silent for longer than [changeAfter] while another is not, the way has
// changed, and the other is taken. The zero Once is ready for use.
type Once struct {
	now, before map[direction]*way // two generations: what is not used in one is forgotten
	lately      [latelySize]*way   // of now, by their ports: most packets need no map
}

type direction struct{ from, to netip.AddrPort }

type way struct {
	direction
	on   int // interface
	last time.Time
}

const (
	changeAfter = 2 * time.Second
	generation  = 1 << 15 // directions
	latelySize  = 1 << 12
)

// First reports whether a packet is to be taken.
func (o *Once) First(on int, at time.Time, from, to netip.AddrPort) bool {
	slot := &o.lately[(from.Port()+31*to.Port())%latelySize]
	w := *slot
	if w == nil || w.from != from || w.to != to {
		w = o.find(on, direction{from, to})
		*slot = w
	}
	if w.on != on && at.Sub(w.last) < changeAfter {
		return false
	}
	w.on, w.last = on, at
	return true
}

// find returns the way of a direction, which begins on an interface if it is new.
func (o *Once) find(on int, d direction) *way {
	w := o.now[d]
	if w != nil {
		return w
	}
	if w = o.before[d]; w == nil {
		w = &way{direction: d, on: on}
	}
	if len(o.now) >= generation || o.now == nil {
		o.now, o.before = make(map[direction]*way), o.now
		clear(o.lately[:])
	}
	o.now[d] = w
	return w
}
