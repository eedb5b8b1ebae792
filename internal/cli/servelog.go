package cli

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// serveLog writes lines beside a server, which must not wait for them: nobody
// may be reading. Lines for which there is no room are left out, and that is
// said.
type serveLog struct {
	mu     sync.Mutex
	queue  []logLine
	left   int           // lines left out since the last batch
	more   chan struct{} // holds one while there is something in the queue
	ending chan struct{} // closed when no more is to come
	ended  chan struct{} // closed when all is written
}

type logLine struct {
	at   time.Time
	text string
}

// logged is how many lines may wait.
const logged = 1 << 10

func newServeLog(w io.Writer) *serveLog {
	l := &serveLog{more: make(chan struct{}, 1), ending: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		for {
			select {
			case <-l.more:
				l.write(w)
			case <-l.ending:
				l.write(w)
				return
			}
		}
	}()
	return l
}

// add never blocks.
func (l *serveLog) add(at time.Time, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == logged {
		l.left++
		return
	}
	l.queue = append(l.queue, logLine{at, text})
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// Write adds what a [log.Logger] says.
func (l *serveLog) Write(b []byte) (int, error) {
	l.add(time.Now(), string(b))
	return len(b), nil
}

func (l *serveLog) write(w io.Writer) {
	l.mu.Lock()
	batch, left := l.queue, l.left
	l.queue, l.left = nil, 0
	l.mu.Unlock()
	// Connections tell each on its own what they are about to do, so a line may
	// be told before an older one.
	slices.SortStableFunc(batch, func(a, b logLine) int { return a.at.Compare(b.at) })
	for _, line := range batch {
		if _, err := io.WriteString(w, line.text); err != nil {
			return // nobody is there to be told
		}
	}
	if left > 0 {
		fmt.Fprintf(w, "kax: %d lines left out: nobody read them in time\n", left)
	}
}

// end waits until all is written, or for the patience given.
func (l *serveLog) end(patience time.Duration) {
	close(l.ending)
	select {
	case <-l.ended:
	case <-time.After(patience):
	}
}
