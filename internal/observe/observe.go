// Package observe makes a timeline of packets that no program tells of: live,
// from a file, or from a pipe.
package observe

import (
	"errors"
	"net/netip"
	"time"

	"kax/internal/capture"
	"kax/internal/timeline"
	"kax/internal/wire"
)

// An Observer takes packets one by one, in the order of their capture, and
// numbers them from 1, as Wireshark does.
type Observer struct {
	Header timeline.Header // without Started: that is the first segment's time
	timeline.Observing
	Match func(a, b netip.AddrPort) bool // which connections; nil is all
	Emit  func(timeline.Record)

	// Frames that were no TCP segment for a reason that its reader should know.
	Cut, Bad int

	tracker *timeline.Tracker
	number  int
	segment wire.Segment
}

// Packet takes a packet, and keeps nothing of it.
func (o *Observer) Packet(p *capture.Packet) {
	o.number++
	switch err := decode(p, &o.segment); {
	case errors.Is(err, wire.ErrShort):
		o.Cut++
		return
	case errors.Is(err, wire.ErrBad):
		o.Bad++
		return
	case err != nil:
		return
	}
	if o.Match != nil && !o.Match(o.segment.Src, o.segment.Dst) {
		return
	}
	if o.tracker == nil {
		o.begin(p.Time)
	}
	o.tracker.Packet(p.Time, o.number, &o.segment)
}

// Packets is how many there were.
func (o *Observer) Packets() int { return o.number }

func (o *Observer) begin(at time.Time) {
	o.Header.Started = at.Round(0)
	o.tracker = timeline.NewObserver(o.Header, o.Observing, o.Emit)
}

// Finish ends the timeline. dropped is how many packets the capture has lost.
func (o *Observer) Finish(dropped int) {
	if o.tracker == nil {
		o.begin(time.Now())
	}
	o.tracker.Finish(dropped, nil)
}

func decode(p *capture.Packet, s *wire.Segment) error { return wire.Decode(p.Link, p.Data, s) }
