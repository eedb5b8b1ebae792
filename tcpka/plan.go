package tcpka

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// A Window is when something is due: not before Earliest, and by Latest. Where
// the two are the same the time is exact. What a busy machine adds, mostly less
// than a few milliseconds, is not in it.
type Window struct {
	Earliest, Latest time.Duration
}

// Exact reports whether the window is a single moment.
func (w Window) Exact() bool { return w.Earliest == w.Latest }

// Contains reports whether d lies in the window.
func (w Window) Contains(d time.Duration) bool { return w.Earliest <= d && d <= w.Latest }

// String is "1.024s" or "1s to 1.032s".
func (w Window) String() string {
	if w.Exact() {
		return short(w.Earliest)
	}
	return short(w.Earliest) + " to " + short(w.Latest)
}

func (w Window) plus(o Window, n int) Window {
	return Window{w.Earliest + time.Duration(n)*o.Earliest, w.Latest + time.Duration(n)*o.Latest}
}

// A Plan predicts what Linux does with an idle connection: net/ipv4/tcp_timer.c
// (tcp_keepalive_timer) on the timer wheel of kernel/time/timer.c. It takes
// answers to come at once, nothing to be sent, and the peer's window to be open.
// The zero Plan is of no use: [NewPlan] makes one.
type Plan struct {
	settings Settings
	wheel    wheel
}

// NewPlan makes the plan of a socket with keepalive on and every time and the
// count given, as [Get] reads them: from a sysctl they may be beyond what [Set]
// takes. hz is the kernel's timer ticks a second; [HZ] finds it.
func NewPlan(s Settings, hz int) (Plan, error) {
	switch {
	case !s.Enabled:
		return Plan{}, errors.New("plan: keepalive is off")
	case s.Idle <= 0 || s.Interval <= 0 || s.Count <= 0 || s.UserTimeout < 0 && s.UserTimeout != NoUserTimeout:
		return Plan{}, fmt.Errorf("plan: keepidle, keepintvl and keepcnt are needed, and there is: %v", s)
	case s.Idle%time.Second != 0 || s.Interval%time.Second != 0:
		return Plan{}, fmt.Errorf("plan: keepidle and keepintvl are whole seconds: %w", syscall.EINVAL)
	case hz < MinHZ || hz > MaxHZ:
		return Plan{}, &RangeError{"hz", hz, fmt.Sprintf("from %d to %d", MinHZ, MaxHZ)}
	}
	return Plan{s, wheel(hz)}, nil
}

// Settings are what the plan was made for.
func (p Plan) Settings() Settings { return p.settings }

// HZ is the tick rate that the plan was made for.
func (p Plan) HZ() int { return int(p.wheel) }

// First is the first probe, counted from when the peer was last heard.
func (p Plan) First() Window { return p.wheel.after(p.settings.Idle) }

// Every is the time from probe to probe while the peer answers. After a probe
// the timer is set for the interval; where the idle time is not over then, it is
// set again for the rest.
func (p Plan) Every() Window {
	idle, interval := p.settings.Idle, p.settings.Interval
	late := p.wheel.granule(interval)
	if interval >= idle {
		return p.interval()
	}
	// The rest's timer, if no finer than the interval's, puts the probe onto its
	// own ticks, and from there each round is like the one before: provided the
	// rest takes such a timer however late the interval's was.
	rest := idle - interval
	last := p.wheel.granule(rest - p.wheel.jiffy())
	if rest > late && last >= late && last == p.wheel.granule(rest-late) {
		return p.wheel.locked(idle, last)
	}
	return Window{idle, max(idle+p.wheel.granule(rest), interval+late)}
}

// Silence is how long the connection is quiet at most, while the peer answers:
// before a first probe, or after a probe whose timer is not yet in step.
func (p Plan) Silence() time.Duration {
	return max(p.First().Latest, p.wheel.after(p.settings.Interval).Latest)
}

// Unanswered is the n-th probe, from 1, of those that a peer which is gone does
// not answer, counted from when it was last heard.
func (p Plan) Unanswered(n int) Window {
	// The last thing heard may have been an answer: then the timer was set for
	// the interval, which may be longer than the idle time.
	w := Window{p.settings.Idle, p.Silence()}
	if n > 1 {
		w = w.plus(p.wheel.after(p.settings.Interval), 1)
	}
	// The second put the third onto the ticks of its timer.
	return w.plus(p.interval(), max(n-2, 0))
}

// interval is the interval from probe to probe once they are in step.
func (p Plan) interval() Window {
	return p.wheel.locked(p.settings.Interval, p.wheel.granule(p.settings.Interval))
}

// Death is when a peer that is gone is given up, counted from when it was last
// heard, and how many probes it has left unanswered by then. Without a user
// timeout that is at the expiry after the last probe of the count. With one the
// count means nothing: it is the first expiry after a probe at which the user
// timeout has passed.
func (p Plan) Death() (at Window, minProbes, maxProbes int) {
	limit := p.settings.UserTimeout
	if limit <= 0 {
		return p.Unanswered(p.settings.Count + 1), p.settings.Count, p.settings.Count
	}
	first := 2
	for p.Unanswered(first).Latest < limit {
		first++
	}
	last := first
	for p.Unanswered(last).Earliest < limit {
		last++
	}
	at = Window{max(p.Unanswered(first).Earliest, limit), p.Unanswered(last).Latest}
	if last > first { // then the expiry before was too early, by a tick at least
		at.Latest = min(at.Latest, limit+p.wheel.after(p.settings.Interval).Latest)
	}
	return at, first - 1, last - 1
}

// Rearmed is when the next probe is due after TCP_KEEPIDLE has been set on a
// socket that last heard its peer so long ago: tcp_sock_set_keepidle_locked
// starts the timer with what is left, and one that has passed fires at once.
func (p Plan) Rearmed(quiet time.Duration) Window {
	return p.wheel.after(max(p.settings.Idle-quiet, 0))
}

// Next is when the next probe is due by what has been seen: when the peer was
// last heard, and when the last probe went, zero where none has.
func (p Plan) Next(heard, probed time.Time) (earliest, latest time.Time) {
	first := p.First()
	earliest, latest = heard.Add(first.Earliest), heard.Add(first.Latest)
	if probed.IsZero() {
		return earliest, latest
	}
	interval := p.wheel.after(p.settings.Interval)
	timer, late := probed.Add(interval.Earliest), probed.Add(interval.Latest)
	if heard.Before(probed) {
		return timer, late
	}
	if timer.After(earliest) {
		earliest = timer
	}
	if late.After(latest) {
		latest = late
	}
	return earliest, latest
}

// IdleBelow is the longest idle time, in whole seconds, whose probe goes before
// limit in any case; false says that there is none, or no such hz.
func IdleBelow(limit time.Duration, hz int) (time.Duration, bool) {
	if hz < MinHZ || hz > MaxHZ {
		return 0, false
	}
	w := wheel(hz)
	for d := min(limit.Truncate(time.Second), MaxTime); d >= MinTime; d -= time.Second {
		if w.after(d).Latest < limit {
			return d, true
		}
	}
	return 0, false
}
