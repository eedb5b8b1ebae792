package httpka

import (
	"context"
	"sync"
)

// A gauge counts open connections. Its zero value counts none.
type gauge struct {
	mu    sync.Mutex
	open  int
	empty chan struct{} // closed when none is open any more; nil where none is
}

func (g *gauge) opened() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == 0 {
		g.empty = make(chan struct{})
	}
	g.open++
}

func (g *gauge) closed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open--; g.open == 0 {
		close(g.empty)
		g.empty = nil
	}
}

// wait returns nil when none is open, or the error of ctx when that ends.
func (g *gauge) wait(ctx context.Context) error {
	g.mu.Lock()
	empty := g.empty
	g.mu.Unlock()
	if empty == nil {
		return nil
	}
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
