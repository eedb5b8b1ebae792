package timeline_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"kax/internal/timeline"
)

func TestMergeOrder(t *testing.T) {
	var (
		m   timeline.Merge
		got []string
	)
	add := func(name string, after time.Duration) {
		m.At(epoch.Add(after), func(at time.Time) {
			got = append(got, name)
			if !at.Equal(epoch.Add(after)) {
				t.Errorf("%s released at %v, added at %v", name, at, epoch.Add(after))
			}
		})
	}
	add("late", 3)
	add("first of two", 2)
	add("early", 1)
	add("second of two", 2)
	add("too late", 4)
	m.Release(epoch)
	if len(got) != 0 {
		t.Errorf("released %q before their time", got)
	}
	m.Release(epoch.Add(3))
	if want := []string{"early", "first of two", "second of two", "late"}; !slices.Equal(got, want) {
		t.Errorf("released %q, want %q", got, want)
	}
	got = nil
	add("overdue", 0) // what comes late is not lost
	m.Release(epoch.Add(3))
	m.Release(epoch.Add(4))
	if want := []string{"overdue", "too late"}; !slices.Equal(got, want) {
		t.Errorf("released %q, want %q", got, want)
	}
}

// Things of one moment keep the order of their arrival, however many.
func TestMergeTies(t *testing.T) {
	var (
		m   timeline.Merge
		got []int
	)
	for i := range 1000 {
		m.At(epoch, func(time.Time) { got = append(got, i) })
	}
	m.Release(epoch)
	if len(got) != 1000 || !slices.IsSorted(got) {
		t.Errorf("%d released, in order: %t", len(got), slices.IsSorted(got))
	}
}

// What is released may add more.
func TestMergeAddsWhileReleasing(t *testing.T) {
	var (
		m   timeline.Merge
		got []int
	)
	m.At(epoch, func(at time.Time) {
		m.At(at.Add(2), func(time.Time) { got = append(got, 2) })
		m.At(at.Add(1), func(time.Time) { got = append(got, 1) })
	})
	m.Release(epoch.Add(1))
	if want := []int{1}; !slices.Equal(got, want) {
		t.Errorf("released %v, want %v", got, want)
	}
}

// Nothing that happens after the clock was read is earlier than it.
func TestMergeClock(t *testing.T) {
	var (
		m       timeline.Merge
		wg      sync.WaitGroup
		adding  = make(chan struct{})
		n, done int
		last    time.Time
		horizon time.Time // everything before it has been released
	)
	const tellers, each = 8, 2000
	for range tellers {
		wg.Go(func() {
			for range each {
				m.Now(func(at time.Time) {
					if at.Before(last) {
						t.Errorf("released %v after %v", at, last)
					}
					if !at.After(horizon) {
						t.Errorf("%v came after everything to %v had been released", at, horizon)
					}
					last = at
					n++
				})
			}
		})
	}
	go func() { wg.Wait(); close(adding) }()
	for done < 2 {
		select {
		case <-adding:
			done++
		default:
		}
		// What was told until now is there: only its release may be late.
		until := m.Clock().Round(0).Add(-1)
		m.Release(until)
		horizon = until
	}
	m.Release(m.Clock().Add(time.Second))
	if n != tellers*each {
		t.Errorf("%d released, want %d", n, tellers*each)
	}
}

func BenchmarkMerge(b *testing.B) {
	var m timeline.Merge
	do := func(time.Time) {}
	for i := range 1000 {
		m.At(epoch.Add(time.Duration(i)), do)
	}
	b.ReportAllocs()
	at := epoch
	for b.Loop() {
		m.At(at.Add(1000), do)
		m.Release(at)
		at = at.Add(1)
	}
}
