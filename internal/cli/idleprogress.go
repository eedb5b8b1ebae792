package cli

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"kax/httpka"
	"kax/internal/timeline"
	"kax/internal/view"
)

// idleProgress says on stderr what is being waited for: on a terminal in one
// line that is written again every second, elsewhere in a line now and then.
type idleProgress struct {
	begun time.Time
	upTo  time.Duration
	write func(text string)
	clear func()
	every func(said int) time.Duration // from the line before

	mu     sync.Mutex
	last   httpka.IdleProgress
	done   chan struct{}
	closed sync.WaitGroup
}

func (a *app) newIdleProgress(f httpka.IdleFinder) *idleProgress {
	p := &idleProgress{begun: time.Now(), upTo: f.GiveUpAfter, done: make(chan struct{})}
	if f.Enough > 0 {
		p.upTo = f.Enough
	}
	if file, ok := a.stderr.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.every = func(int) time.Duration { return time.Second }
		p.write = func(text string) {
			// ECMA-48: to the first column; what is behind the text goes.
			fmt.Fprintf(a.stderr, "\r%s\x1b[K", view.Shorten(text, width(file)-1))
		}
		p.clear = func() { fmt.Fprintf(a.stderr, "\r\x1b[K") }
	} else {
		p.every = func(said int) time.Duration { return 5 * time.Second << min(said, 6) }
		p.write = func(text string) { fmt.Fprintf(a.stderr, "kax: %s\n", text) }
		p.clear = func() {}
	}
	p.closed.Go(p.tell)
	return p
}

func (p *idleProgress) set(now httpka.IdleProgress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = now
}

func (p *idleProgress) tell() {
	for said := 0; ; said++ {
		select {
		case <-p.done:
			if said > 0 {
				p.clear()
			}
			return
		case <-time.After(p.every(said)):
		}
		p.mu.Lock()
		text := p.text(time.Since(p.begun))
		p.mu.Unlock()
		p.write(text)
	}
}

// end takes the line away.
func (p *idleProgress) end() {
	close(p.done)
	p.closed.Wait()
}

func (p *idleProgress) text(elapsed time.Duration) string {
	var parts []string
	atMost := fmt.Sprintf(" of at most %v", p.upTo)
	switch n := p.last.Samples; {
	case n == 0 && p.last.Ended == 0 && len(p.last.Answered) == 0:
		parts = append(parts, "waiting for the first response")
		atMost = "" // that has a time of its own
	case n == 0 && p.last.Ended == 0:
		parts = append(parts, "all connections have been asked")
	case p.last.Ended > 0:
		parts = append(parts, fmt.Sprintf("%s ended, %d still open", timeline.Count(p.last.Ended, "connection"), n))
	default:
		parts = append(parts, timeline.Count(n, "connection")+" open and silent")
	}
	if n := len(p.last.Answered); n > 0 {
		parts = append(parts, "others still answered after up to "+timeline.Brief(p.last.Answered[n-1]))
	}
	if p.last.Lost > 0 {
		parts = append(parts, "one did not after "+timeline.Brief(p.last.Lost))
	}
	if p.last.Refining > 0 {
		parts = append(parts, fmt.Sprintf("%d look for the time between", p.last.Refining))
	}
	if elapsed > p.upTo {
		atMost = "" // it looks closer at what it has found
	}
	return fmt.Sprintf("%d s%s: %s", int(elapsed.Seconds()), atMost, strings.Join(parts, "; "))
}
