package timeline

import (
	"fmt"
	"time"

	"kax/tcpka"
)

// Window is when something is due: exactly then, where both are the same.
type Window struct {
	Earliest Seconds `json:"earliest"`
	Latest   Seconds `json:"latest"`
}

// Range is a number that is known within bounds.
type Range struct {
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

// Plan is what the kernel will do with an idle connection, predicted from its
// settings. With keepalive off nothing is due.
type Plan struct {
	Keepalive
	HZ         int       `json:"hz"`                   // the kernel's timer ticks a second
	First      *Window   `json:"first,omitempty"`      // first probe, since the peer was last heard
	Every      *Window   `json:"every,omitempty"`      // from probe to probe, while the peer answers
	Silence    Seconds   `json:"silence,omitempty"`    // how long the connection is quiet at most, while the peer answers
	PerHour    *Range    `json:"per_hour,omitempty"`   // probes, while the peer answers
	Unanswered []Window  `json:"unanswered,omitempty"` // probes to a peer that is gone, since it was last heard; no more than 127
	Probes     *Range    `json:"probes,omitempty"`     // how many it leaves unanswered before it is given up
	Death      *Window   `json:"death,omitempty"`      // when it is given up, since it was last heard
	Vanished   *Window   `json:"vanished,omitempty"`   // the same, since it went
	Systems    []Through `json:"systems,omitempty"`
}

// Through is whether an idle connection outlives a known system's timeout.
type Through struct {
	System  string  `json:"system"`
	Kind    string  `json:"kind"`
	Timeout Seconds `json:"timeout"`      // of an idle connection there
	Counts  bool    `json:"probes_count"` // whether a probe is traffic to it
	Kept    bool    `json:"kept"`
	Note    string  `json:"note,omitempty"` // on the timeout
	Source  string  `json:"from"`           // the document that says so
	Year    int     `json:"year"`           // when it did
}

// NewPlan predicts for a socket with these settings in force. hz is the
// kernel's timer ticks a second.
func NewPlan(asked, effective tcpka.Settings, hz int) (*Plan, error) {
	out := &Plan{Keepalive: Keepalive{Options(asked), Options(effective)}, HZ: hz}
	if !effective.Enabled {
		return out, nil
	}
	p, err := tcpka.NewPlan(effective, hz)
	if err != nil {
		return nil, err
	}
	every := p.Every()
	death, least, most := p.Death()
	out.First, out.Every, out.Death = window(p.First()), window(every), window(death)
	out.Silence = Seconds(p.Silence())
	out.PerHour = &Range{perHour(every.Latest), perHour(every.Earliest)}
	out.Probes = &Range{float64(least), float64(most)}
	// It may have gone just after it was heard, or just before a probe; how late
	// that one was the rest has in common with it.
	out.Vanished = window(tcpka.Window{
		Earliest: p.Unanswered(least+1).Earliest - p.Unanswered(1).Earliest, Latest: death.Latest,
	})
	for n := range min(most, tcpka.MaxCount) {
		out.Unanswered = append(out.Unanswered, *window(p.Unanswered(n + 1)))
	}
	return out, nil
}

func window(w tcpka.Window) *Window {
	return &Window{Seconds(w.Earliest), Seconds(w.Latest)}
}

func perHour(every time.Duration) float64 { return float64(time.Hour) / float64(every) }

// planned is how well the plans did.
type planned struct {
	in  int           // probes in their window
	out int           // and outside
	off time.Duration // how far outside at most
}

// makePlans predicts for each side whose settings, and the kernel's HZ, are
// known.
func (t *Tracker) makePlans() {
	for side := range t.plans {
		p, err := tcpka.NewPlan(t.options(side).Settings(), t.header.Settings.HZ)
		if err == nil {
			t.plans[side] = &p
		}
	}
}

// CountersBlur is how far off the time of an inferred probe may be: it is seen
// at the next reading, or by a clock of jiffies, of up to 10 ms. One that was
// seen later than that, on a busy machine, is not compared with its plan.
const CountersBlur = 11 * time.Millisecond

// predict returns when a probe that comes now was due, or nil without a plan.
func (t *Tracker) predict(at moment, side int, h *half) *Window {
	p := t.plans[side]
	if p == nil {
		return nil
	}
	first, last := p.Next(h.heard.time(), h.lastProbe.time())
	earliest, latest := momentOf(first), momentOf(last)
	blur := time.Duration(0)
	if t.header.Source == Counters {
		blur = CountersBlur
	}
	switch {
	case at < earliest.plus(-blur):
		t.planned.miss(earliest.since(at))
	case at > latest.plus(blur):
		t.planned.miss(at.since(latest))
	default:
		t.planned.in++
	}
	t.due = Window{t.since(earliest), t.since(latest)}
	return &t.due
}

func (p *planned) miss(by time.Duration) {
	p.out++
	p.off = max(p.off, by)
}

// asPlanned says how the prediction did.
func (t *Tracker) asPlanned() string {
	p := t.planned
	total := p.in + p.out
	switch {
	case total == 0:
		return ""
	case p.out == 0 && total == 1:
		return "The probe came in the window that the settings and the kernel's timers give it."
	case total == 1:
		return fmt.Sprintf("The probe came outside the window that the settings and the kernel's timers give it, by %s.", Brief(p.off))
	case p.out == 0:
		return fmt.Sprintf("All %d probes came in the windows that the settings and the kernel's timers give them.", total)
	}
	return fmt.Sprintf("%d of %s came outside the windows that the settings and the kernel's timers give, by %s at most.",
		p.out, Count(total, "probe"), Brief(p.off))
}
