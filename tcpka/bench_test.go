package tcpka_test

import (
	"testing"

	"kax/tcpka"
)

// cycle is a request, its response, and a probe with its answer: what an idle
// connection that is used now and then consists of. Each round begins where the
// last has ended.
func cycle(f *tcpka.Flow, round uint32) {
	q, r := round*100, round*300
	next := func(from int, seq, ack uint32, n int) {
		f.Next(from, tcpka.Segment{Seq: seq, Ack: ack, Len: n, Window: open, Scale: -1, Flags: A})
	}
	next(c, q, r, 100)
	next(s, r, q+100, 300)
	next(c, q+100, r+300, 0)
	next(c, q+99, r+300, 0)
	next(s, r+300, q+100, 0)
}

const cycleSegments = 5

func TestFlowAllocatesNothing(t *testing.T) {
	round := uint32(0)
	if n := testing.AllocsPerRun(100, func() {
		var f tcpka.Flow
		cycle(&f, round)
		round++
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFlowNext(b *testing.B) {
	b.ReportAllocs()
	var f tcpka.Flow
	round := uint32(0)
	for b.Loop() {
		cycle(&f, round)
		round++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/cycleSegments, "ns/segment")
}
