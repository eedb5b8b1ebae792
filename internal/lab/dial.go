package lab

import (
	"net"
	"sync"
	"time"
)

// dialPatience bounds how long the timeline waits for a dialler: one that tries
// to reach a peer that is not there has nothing to show.
const dialPatience = 3 * time.Second

// dial opens a connection that belongs to the run. Its first packets come before
// the dialler, on a busy machine long before, knows the address by which they are
// told from others': the timeline waits for it.
func (s *stage) dial(open func() (net.Conn, error)) (net.Conn, error) {
	defer s.dials.begin(s.merge.Clock())()
	c, err := open()
	if err == nil {
		s.own(addrPort(c.LocalAddr()), addrPort(c.RemoteAddr()))
	}
	return c, err
}

// dials are those that are going on.
type dials struct {
	mu    sync.Mutex
	begun map[*time.Time]struct{}
}

// begin returns what ends it.
func (d *dials) begin(at time.Time) (end func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.begun == nil {
		d.begun = map[*time.Time]struct{}{}
	}
	d.begun[&at] = struct{}{}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.begun, &at)
	}
}

// hold returns up to when things may be told, which would be until.
func (d *dials) hold(until, now time.Time) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	for at := range d.begun {
		if at.Before(until) && now.Sub(*at) < dialPatience {
			until = *at
		}
	}
	return until
}
