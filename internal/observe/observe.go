// Package observe makes a timeline of packets that no program tells of: live,
// from a file, or from a pipe.
package observe

import (
	"encoding/binary"
	"errors"
	"fmt"
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
	Match  func(a, b netip.AddrPort) bool // which connections; nil is all
	Live   bool                           // only what is taken gets a number
	Once   bool                           // a packet that was seen on several interfaces is taken once: see capture.Once
	Frames bool                           // events bear the bytes of their packets
	Emit   func(timeline.Record)

	once    capture.Once
	tracker *timeline.Tracker
	number  int
	decoder wire.Decoder
	segment wire.Segment
	head    *timeline.Head  // of the present packet, where it was read ahead
	frame   *capture.Packet // the present one, where its bytes are wanted
	foreign error           // of the first packet whose link type is not known
}

// Packet takes a packet, and keeps nothing of it. It reports whether the packet
// has got a number.
func (o *Observer) Packet(p *capture.Packet) bool {
	err := o.decoder.Decode(p.Link, p.Data, &o.segment)
	wanted := o.wants(o.number+1, p, &o.segment, err)
	if o.Live && !wanted && !errors.Is(err, wire.ErrFragment) { // of a packet to come
		return false
	}
	o.number++
	if wanted {
		if o.Frames {
			o.frame = p
		}
		o.take(p.Time, &o.segment)
	}
	return true
}

// wants reports whether a packet holds a segment of a connection that is observed.
// err is why it holds none.
func (o *Observer) wants(number int, p *capture.Packet, s *wire.Segment, err error) bool {
	if err != nil {
		if o.foreign == nil && !p.Link.Known() {
			o.foreign = fmt.Errorf("packet %d has %v: %w", number, p.Link, errors.ErrUnsupported)
		}
		return false
	}
	return (o.Match == nil || o.Match(s.Src, s.Dst)) &&
		(!o.Once || o.once.First(seenOn(p), p.Time, s.Src, s.Dst))
}

// seenOn numbers the interface of a packet. A tcpdump -i any has a single one, and
// the kernel's number of each packet's own in the cooked header (LINKTYPE_LINUX_SLL2).
func seenOn(p *capture.Packet) int {
	if p.Link == wire.SLL2 { // decoded, so its 20 bytes are there
		return int(binary.BigEndian.Uint32(p.Data[4:]))
	}
	return p.Interface
}

// take takes the segment of the present packet.
func (o *Observer) take(at time.Time, s *wire.Segment) {
	if o.tracker == nil {
		o.begin(at)
	}
	if o.frame != nil {
		o.tracker.Frame(o.frame.Link, o.frame.Data, o.frame.Length)
	}
	o.tracker.Head(o.head)
	o.tracker.Packet(at, o.number, s)
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

// Unread says which packets could not be taken: those of a link type that is not
// known. It wraps [errors.ErrUnsupported].
func (o *Observer) Unread() error { return o.foreign }
