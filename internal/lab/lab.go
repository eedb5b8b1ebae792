// Package lab runs experiments on real sockets and makes a timeline of each.
package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"kax/internal/capture"
	"kax/internal/timeline"
)

// Env is what an experiment runs in, and where its records go.
type Env struct {
	Command string
	Version string
	Source  timeline.Source
	Private bool           // the network namespace is the run's own
	Packets capture.Source // a live one is open and not started; nil with Counters
	On      string         // the interface to capture on; empty is all of them
	Write   string         // pcapng file for the packets, or empty
	Frames  bool           // events bear the bytes of their packets
	Emit    func(timeline.Record)
	Slow    func(string) // told what takes long; may be nil
}

// interfaceName names the interface of a packet in a file.
func (e Env) interfaceName(index int) string {
	switch from := e.Packets.(type) {
	case *capture.Reader:
		return from.InterfaceName(index)
	case *capture.Group:
		return from.InterfaceName(index)
	case *capture.Live:
		if ifi, err := net.InterfaceByIndex(index); err == nil {
			return ifi.Name
		}
	}
	return e.On
}

// slowAfter is when someone wonders what kax is waiting for.
const slowAfter = time.Second

// slow tells of what takes long, until the returned function is called.
func (e Env) slow(what string) (stop func()) {
	if e.Slow == nil {
		return func() {}
	}
	timer := time.AfterFunc(slowAfter, func() { e.Slow(what) })
	return func() { timer.Stop() }
}

// await waits until another program captures, where packets come from one: the
// beginning of a connection that is opened before would be missing.
func (e Env) await(ctx context.Context) error {
	r, ok := e.Packets.(*capture.Reader)
	if !ok {
		return nil
	}
	defer e.slow("waiting for " + r.Name())()
	return r.Begin(ctx)
}

// loopback is where the packets of one machine talking to itself pass, to
// whichever of its addresses they go.
const loopback = "lo"

// done reports why ctx has ended an experiment: nil where its time was up.
func done(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stopped early: %w", err)
	}
	return nil
}
