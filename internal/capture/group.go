package capture

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Group is several live captures as one, as of hosts in network namespaces of
// their own. A packet's Interface is the group's number of it. Add may be called
// from any goroutine, the other methods from one.
type Group struct {
	mu      sync.Mutex
	members []member
	turn    int // whose packet comes next, if it has one
}

type member struct {
	live  *Live
	name  string
	names map[int]string // of its interfaces
}

// perMember is above any number of an interface that a namespace of kax's own
// has.
const perMember = 1 << 16

// Add captures in the calling thread's network namespace what f lets through. The
// name stands before those of its interfaces.
func (g *Group) Add(name string, f Filter) error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("list the interfaces of %s: %w", name, err)
	}
	m := member{name: name, names: map[int]string{}}
	for _, i := range all {
		m.names[i.Index] = i.Name
	}
	if m.live, err = OpenLive(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := m.live.Start(f); err != nil {
		return fmt.Errorf("%s: %w", name, errors.Join(err, m.live.Close()))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members = append(g.members, m)
	return nil
}

func (g *Group) all() []member {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.members
}

// InterfaceName names an interface as "host interface".
func (g *Group) InterfaceName(index int) string {
	m := g.all()[index/perMember]
	return m.name + " " + m.names[index%perMember]
}

// Next returns the next packet of any member, waiting for it up to the given time.
// Those of one member come in order.
func (g *Group) Next(wait time.Duration) (Packet, bool, error) {
	members := g.all()
	for range members {
		n := g.turn % len(members)
		p, ok, err := members[n].live.Next(0)
		if ok {
			p.Interface += n * perMember
		}
		if ok || err != nil {
			return p, ok, err
		}
		g.turn++
	}
	if wait <= 0 {
		return Packet{}, false, nil
	}
	awaitAny(members, wait)
	return g.Next(0)
}

// Dropped is how many packets all members had no room for.
func (g *Group) Dropped() (int, error) {
	var (
		sum  int
		errs []error
	)
	for _, m := range g.all() {
		n, err := m.live.Dropped()
		sum, errs = sum+n, append(errs, err)
	}
	return sum, errors.Join(errs...)
}

// Close ends all captures.
func (g *Group) Close() error {
	var errs []error
	for _, m := range g.all() {
		errs = append(errs, m.live.Close())
	}
	return errors.Join(errs...)
}
