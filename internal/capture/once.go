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
	now, before map[direction]way // two generations: what is not used in one is forgotten
}

type direction struct{ from, to netip.AddrPort }

type way struct {
	on   int // interface
	last time.Time
}

const (
	changeAfter = 2 * time.Second
	generation  = 1 << 15 // directions
)

// First reports whether a packet is to be taken.
func (o *Once) First(on int, at time.Time, from, to netip.AddrPort) bool {
	d := direction{from, to}
	w, known := o.now[d]
	if !known {
		if w, known = o.before[d]; !known {
			w = way{on: on}
		}
		if len(o.now) >= generation || o.now == nil {
			o.now, o.before = make(map[direction]way), o.now
		}
	}
	if w.on != on && at.Sub(w.last) < changeAfter {
		return false
	}
	o.now[d] = way{on, at}
	return true
}
