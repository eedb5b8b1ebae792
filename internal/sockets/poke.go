package sockets

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"kax/internal/times"
	"kax/tcpka"
)

// Result is what became of a poke.
type Result string

// The results.
const (
	Answered   Result = "answered"
	Unanswered Result = "unanswered"
	Reset      Result = "reset" // the peer knows no such connection
)

// An Outcome is what a poke has found out.
type Outcome struct {
	Result Result
	// After is how long the answer took, at most: the probe went out no
	// earlier, and the answer was there no later.
	After  time.Duration
	Waited time.Duration // since the probe was asked for
	Probes int           // unanswered now
	Used   bool          // data crossed meanwhile: that was heard too, or instead
	Dead   bool          // the kernel has given the peer up
}

// A Refusal is why a connection is not poked.
type Refusal struct {
	Reason    string
	Forceable bool // it could be done all the same
}

func (r *Refusal) Error() string { return r.Reason }

// mayPoke returns the [Refusal] of a connection that cannot be poked, or, unless
// forced, of one for which that is a risk.
func mayPoke(st Status, s tcpka.Settings, force bool) error {
	switch {
	case st.State != Established && st.State != CloseWait && st.State != FinWait2:
		return &Refusal{Reason: fmt.Sprintf("not established but %s: no probe is sent in this state", st.State)}
	case st.Unsent > 0 && st.PeerWindow == 0:
		return &Refusal{Reason: "data waits for the peer's window to open: the kernel asks for that already, and sends no probe"}
	case st.Waiting():
		return &Refusal{Reason: "data is in flight: its acknowledgment, or its retransmissions, tell of the peer, and no probe is sent"}
	case st.Quiet() < tcpka.MinTime:
		return &Refusal{Reason: fmt.Sprintf("heard from the peer %v ago: a probe needs a connection that has been idle for %v", times.Brief(st.Quiet()), times.Clock(tcpka.MinTime))}
	}
	if err := tcpka.CheckTime("keepidle", s.Idle); err != nil { // from the sysctl, which takes any
		return &Refusal{Reason: fmt.Sprintf("its idle time, %v, is none that a socket can be given: it could not be put back", times.Clock(s.Idle))}
	}
	if force {
		return nil
	}
	var risks []string
	if st.State != Established {
		risks = append(risks, fmt.Sprintf("not established but %s", st.State))
	}
	if s.UserTimeout > 0 {
		risks = append(risks, fmt.Sprintf("one lost probe could kill it: its user timeout, %v, gives the peer up once a probe is unanswered", times.Clock(s.UserTimeout)))
	} else if left := s.Count - st.ProbesOut; left <= 1 {
		risks = append(risks, fmt.Sprintf("one lost probe could kill it: it ends with %d unanswered, and has %d", s.Count, st.ProbesOut))
	}
	if len(risks) > 0 {
		return &Refusal{strings.Join(risks, "; "), true}
	}
	return nil
}

// ErrNoProbe means that the kernel was asked for a probe and sent none in time.
var ErrNoProbe = errors.New("the kernel sent no probe")

// dueIn is how soon the kernel sends a probe that is due at once: within two of
// its ticks, or HZ/20 later while the owner is busy with the socket
// (tcp_keepalive_timer). It leaves room for a machine under load.
const dueIn = time.Second
