package timeline

import (
	"container/heap"
	"math"
	"sync"
	"time"
)

// A Merge puts what several sources tell into one order of time. Each thing
// waits until its moment is released; so a packet that is read late still
// comes before an HTTP event that was told early.
//
// Now may be called from any goroutine, the other methods from one.
type Merge struct {
	mu    sync.Mutex
	queue queue
	count int
}

// Clock returns the present. Nothing that Now adds afterwards is earlier.
func (m *Merge) Clock() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now()
}

// Now adds something that happens now; do gets the moment when it is released.
func (m *Merge) Now(do func(at time.Time)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(time.Now(), do)
}

// At adds something that happened at a known time.
func (m *Merge) At(at time.Time, do func(at time.Time)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(at, do)
}

func (m *Merge) add(at time.Time, do func(time.Time)) {
	// Packets bear the wall clock only: compare nothing else.
	heap.Push(&m.queue, item{at.Round(0), m.count, do})
	m.count++
}

// Release lets everything up to a moment happen, in order.
func (m *Merge) Release(until time.Time) {
	for {
		it, ok := m.pop(until.Round(0))
		if !ok {
			return
		}
		it.do(it.at)
	}
}

// Drain lets everything happen that is left, whatever its time: a wall clock
// that was set back meanwhile must not lose anything.
func (m *Merge) Drain() { m.Release(time.Unix(math.MaxInt32, 0)) }

func (m *Merge) pop(until time.Time) (item, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) == 0 || m.queue[0].at.After(until) {
		return item{}, false
	}
	return heap.Pop(&m.queue).(item), true
}

type item struct {
	at    time.Time
	count int // order of arrival, between things of one moment
	do    func(time.Time)
}

type queue []item

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if c := q[i].at.Compare(q[j].at); c != 0 {
		return c < 0
	}
	return q[i].count < q[j].count
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(item)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	it := (*q)[last]
	(*q)[last] = item{}
	*q = (*q)[:last]
	return it
}
