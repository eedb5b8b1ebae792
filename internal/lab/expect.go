package lab

import (
	"errors"
	"net"
	"os"
	"strings"
	"time"

	"kax/internal/timeline"
	"kax/tcpka"
)

// What a busy machine may do to a timer. Where a clock tick comes late, as in a
// virtual machine that is held up, the kernel's count of ticks lags behind the
// stamps of packets, and what it times by that seems to be early.
const (
	slack = 100 * time.Millisecond // it adds
	lag   = 20 * time.Millisecond  // it takes off
)

// onTime reports whether something came when the plan says.
func onTime(w tcpka.Window, d time.Duration) bool {
	return d >= w.Earliest-lag && d <= w.Latest+slack
}

// plan predicts what this kernel does with some settings.
func (r *Run) plan(s tcpka.Settings) (tcpka.Plan, error) {
	got, err := effective(s)
	if err != nil {
		return tcpka.Plan{}, err
	}
	return planOf(got)
}

// planOf is plan for settings that are complete.
func planOf(s tcpka.Settings) (tcpka.Plan, error) {
	hz, err := tcpka.HZ()
	if err != nil {
		return tcpka.Plan{}, err
	}
	return tcpka.NewPlan(s, hz)
}

// cause is what the kernel said, without what was being done.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err
	}
	return err
}

// kindName is how people write the kind of a segment.
func kindName(e *timeline.Event) string { return strings.ToUpper(e.Kind) }

// awaitRepeat waits until the kernel has repeated the last request: where the
// handshake was slow that comes late, and goes on without the program.
func (r *Run) awaitRepeat(of Conn) error {
	return r.Await(of, func(s Story) bool {
		return s.After(s.Of("request").Last().At).By(timeline.Client).Of("retransmission").Len() > 0
	})
}
