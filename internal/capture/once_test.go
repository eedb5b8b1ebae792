package capture

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

func TestOnce(t *testing.T) {
	a, b := netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("192.0.2.2:80")
	start := time.Unix(1000, 0)
	var o Once
	for i, tt := range []struct {
		at       time.Duration
		on       int
		from, to netip.AddrPort
		want     bool
	}{
		{0, 1, a, b, true},
		{0, 2, a, b, false},                       // the same packet on a bridge
		{time.Millisecond, 2, b, a, true},         // the answer comes there first
		{time.Millisecond, 1, b, a, false},        //
		{time.Second, 1, a, b, true},              //
		{2900 * time.Millisecond, 2, a, b, false}, // 1 is not silent for long enough
		{3100 * time.Millisecond, 2, a, b, true},  // the way has changed
		{3100 * time.Millisecond, 1, a, b, false},
	} {
		if got := o.First(tt.on, start.Add(tt.at), tt.from, tt.to); got != tt.want {
			t.Errorf("packet %d: taken: %v", i+1, got)
		}
	}
}

// Directions with the same ports are told apart.
func TestOnceKnowsDirections(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	end := func() netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(10))}), uint16(80+r.IntN(3)))
	}
	var o Once
	at, seen := time.Unix(1000, 0), map[direction]way{}
	for i := range 50_000 {
		at = at.Add(time.Duration(r.IntN(5)) * time.Millisecond)
		on, d := r.IntN(3), direction{end(), end()}
		w, known := seen[d]
		want := !known || w.on == on || at.Sub(w.last) >= changeAfter
		if want {
			seen[d] = way{on: on, last: at}
		}
		if got := o.First(on, at, d.from, d.to); got != want {
			t.Fatalf("packet %d, of %v on %d: taken: %v, after %v", i, d, on, got, w)
		}
	}
}

// What is remembered has a bound, and what is in use stays remembered.
func TestOnceIsBounded(t *testing.T) {
	var o Once
	at := time.Unix(1000, 0)
	used := netip.MustParseAddrPort("192.0.2.1:80")
	for i := range 5 * generation {
		peer := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 24), byte(i >> 16), byte(i >> 8)}), uint16(i))
		o.First(1, at, peer, used)
		if i%1000 == 0 && !o.First(1, at, used, used) || o.First(2, at, used, used) {
			t.Fatalf("after %d directions the interface of one in use is forgotten", i)
		}
	}
	if n := len(o.now) + len(o.before); n > 2*generation {
		t.Errorf("%d directions are remembered", n)
	}
}
