package lab

import (
	"slices"
	"time"

	"kax/internal/timeline"
)

// A Conn names a connection: by its client's address, then its server's.
type Conn = pair

// A Story is what has been seen of one connection, or of all, in order.
type Story struct {
	N      int // the connection's number
	Events []*timeline.Event
}

// Story is what has been seen of a connection by now; of the zero Conn it is what
// has been seen of all.
func (b *Bench) Story(of Conn) Story {
	b.settled()
	return b.story(of)
}

// Seen is a connection's story and one of the host's counters, of the same moment:
// nothing was counted until all that had happened was told.
func (h *Host) Seen(of Conn, group, counter string) (Story, int, error) {
	for {
		before, err := h.Count(group, counter)
		if err != nil {
			return Story{}, 0, err
		}
		s := h.run.Story(of)
		after, err := h.Count(group, counter)
		if err != nil || before == after || h.run.ctx.Err() != nil {
			return s, after, err
		}
	}
}

func (b *Bench) story(of Conn) Story {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.numbers[of]
	events := b.events
	if of != (Conn{}) {
		events = slices.DeleteFunc(slices.Clone(events), func(e *timeline.Event) bool { return e.Conn != n })
	}
	return Story{n, events}
}

// Of is the part of a story that is of some kinds.
func (s Story) Of(kinds ...string) Story {
	return s.where(func(e *timeline.Event) bool { return slices.Contains(kinds, e.Kind) })
}

// By is the part of a story that one side has sent.
func (s Story) By(side timeline.Side) Story {
	return s.where(func(e *timeline.Event) bool { return e.Side == side })
}

// After is what has happened later than a moment of the timeline.
func (s Story) After(at timeline.Seconds) Story {
	return s.where(func(e *timeline.Event) bool { return e.At > at })
}

// before is what has happened earlier than that.
func (s Story) before(at timeline.Seconds) Story {
	return s.where(func(e *timeline.Event) bool { return e.At < at })
}

func (s Story) where(f func(*timeline.Event) bool) Story {
	return Story{s.N, slices.DeleteFunc(slices.Clone(s.Events), func(e *timeline.Event) bool { return !f(e) })}
}

// Len is how many events it has.
func (s Story) Len() int { return len(s.Events) }

// packets is how many of its events are packets.
func (s Story) packets() int {
	return s.where(func(e *timeline.Event) bool { return e.Segment != nil }).Len()
}

// First is its first event, and one that says nothing where there is none.
func (s Story) First() *timeline.Event { return s.at(0) }

// Last is its last event, likewise.
func (s Story) Last() *timeline.Event { return s.at(len(s.Events) - 1) }

func (s Story) at(i int) *timeline.Event {
	if i < 0 || i >= len(s.Events) {
		return &timeline.Event{Segment: &timeline.Segment{}}
	}
	return s.Events[i]
}

// between is the time from one event to another.
func between(a, b *timeline.Event) time.Duration { return time.Duration(b.At - a.At) }
