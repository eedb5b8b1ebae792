package sockets

import (
	"fmt"
	"time"

	"kax/internal/times"
	"kax/tcpka"
)

// Touched is what has just been done to a socket, as far as its keepalive timer
// is concerned.
type Touched struct {
	On       bool // keepalive was off, and is on
	Idle     bool // the idle time was set, to whichever value
	Interval bool // likewise
	// Expires is what is left of the keepalive timer, where nothing was done and
	// the timer is known; otherwise nil.
	Expires *time.Duration
}

// Next says in words what the kernel will do with a socket that has these
// settings: by net/ipv4/tcp_timer.c (tcp_set_keepalive, tcp_keepalive_timer) and
// net/ipv4/tcp.c (tcp_sock_set_keepidle). hz is the kernel's timer ticks a
// second.
func Next(st Status, s tcpka.Settings, touched Touched, hz int) string {
	switch {
	case st.State == Closed:
		return "nothing: there is no connection"
	case st.State == Listen && !s.Enabled:
		return "connections accepted from now on start with keepalive off"
	case st.State == Listen:
		return "a listener sends no probes; connections accepted from now on start with these settings"
	case !s.Enabled:
		return "no probes: keepalive is off"
	case st.State == SynSent || st.State == SynRecv:
		return fmt.Sprintf("no probe before the connection is open; then one once nothing is heard for %v", times.Clock(s.Idle))
	case st.Unsent > 0 && st.PeerWindow == 0:
		return "no probe while data waits for the peer's window to open: the kernel asks for that instead"
	case st.Waiting():
		return fmt.Sprintf("no probe while data is in flight: retransmissions tell of the peer until it is acknowledged; then a probe once nothing is heard for %v", times.Clock(s.Idle))
	}
	plan, err := tcpka.NewPlan(s, hz)
	if err != nil {
		// A sysctl may be beyond what a socket can be given.
		return fmt.Sprintf("a probe once nothing is heard for %v", times.Clock(s.Idle))
	}
	if touched.Expires != nil && gives(st, s, *touched.Expires) {
		return fmt.Sprintf("its timer fires in %v: the connection ends then, with %d unanswered, unless the peer is heard before", rough(*touched.Expires), st.ProbesOut)
	}
	return first(plan, st, touched) + "; " + givenUp(s)
}

// gives reports whether the peer is given up at an expiry that is so far away
// (tcp_keepalive_timer).
func gives(st Status, s tcpka.Settings, expires time.Duration) bool {
	elapsed := st.Quiet() + expires
	if s.UserTimeout > 0 {
		return st.ProbesOut > 0 && elapsed >= max(s.UserTimeout, s.Idle)
	}
	return st.ProbesOut >= s.Count && elapsed >= s.Idle
}

// first says when the next probe is due.
func first(plan tcpka.Plan, st Status, touched Touched) string {
	s, quiet := plan.Settings(), st.Quiet()
	unless := ", unless the peer is heard before"
	switch {
	case touched.On:
		return fmt.Sprintf("a probe in %v%s: turning keepalive on starts a full idle time", within(plan.First()), unless)
	case touched.Idle && quiet >= s.Idle:
		return fmt.Sprintf("a probe at once: the idle time has passed, the peer was last heard %v ago", times.Brief(quiet))
	case touched.Idle:
		return fmt.Sprintf("a probe in %v%s: the peer was last heard %v ago", within(plan.Rearmed(quiet)), unless, times.Brief(quiet))
	case touched.Expires != nil:
		return pending(st, s, *touched.Expires) + unless
	case st.ProbesOut > 0:
		return fmt.Sprintf("%d unanswered; the pending timer stays as it was, and then a probe every %v until one is answered", st.ProbesOut, times.Clock(s.Interval))
	case quiet >= s.Idle:
		return "a probe when the pending timer fires: the idle time has passed"
	}
	text := fmt.Sprintf("a probe in %v%s", within(plan.Rearmed(quiet)), unless)
	if s.Interval > s.Idle {
		text += fmt.Sprintf(", or as late as in %v if what was heard was an answer to one: then the interval has to pass", rough(plan.Silence()-quiet))
	}
	if touched.Interval {
		text += "; the pending timer stays as it was, and the interval counts after a probe"
	}
	return text
}

// pending says what comes when the timer fires: a probe if the idle time has
// passed by then, or sleep for the rest of it.
func pending(st Status, s tcpka.Settings, expires time.Duration) string {
	unanswered := ""
	if st.ProbesOut > 0 {
		unanswered = fmt.Sprintf("%d unanswered; ", st.ProbesOut)
	}
	if rest := s.Idle - st.Quiet(); rest > expires {
		return fmt.Sprintf("%sa probe in %v: its timer fires in %v, and sleeps again for the rest of the idle time", unanswered, rough(rest), rough(expires))
	}
	return fmt.Sprintf("%sa probe in %v, when its timer fires", unanswered, rough(expires))
}

// givenUp says what it takes until a peer that answers no more is given up.
func givenUp(s tcpka.Settings) string {
	if s.UserTimeout > 0 {
		return fmt.Sprintf("the connection ends when a probe is due, one is unanswered, and %v have passed since the peer was last heard: the user timeout takes the place of the count", times.Clock(s.UserTimeout))
	}
	if s.Count == 1 {
		return fmt.Sprintf("one that is unanswered for %v ends the connection", times.Clock(s.Interval))
	}
	return fmt.Sprintf("%d unanswered in a row, %v apart, end the connection", s.Count, times.Clock(s.Interval))
}

// within is a window without digits that say nothing.
func within(w tcpka.Window) string {
	a, b := rough(w.Earliest), rough(w.Latest)
	if a == b {
		return a
	}
	return a + " to " + b
}

// rough is a predicted time without digits that say nothing.
func rough(d time.Duration) string {
	if d >= time.Minute {
		d = d.Round(time.Second)
	}
	return times.Clock(d)
}
