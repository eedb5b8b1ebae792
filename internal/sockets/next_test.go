package sockets_test

import (
	"strings"
	"testing"
	"time"

	"kax/internal/sockets"
	"kax/tcpka"
)

// What the kernel does next follows from the settings, what was done to them,
// and, where it is known, the timer.
func TestNext(t *testing.T) {
	t.Parallel()
	on := tcpka.Settings{Enabled: true, Idle: 10 * time.Second, Interval: 3 * time.Second, Count: 3}
	limited := on
	limited.UserTimeout = 5 * time.Second
	heard := func(ago time.Duration, unanswered int) sockets.Status {
		return sockets.Status{State: sockets.Established, LastSent: time.Hour, LastReceived: time.Hour, LastAck: ago, ProbesOut: unanswered}
	}
	in := func(d time.Duration) sockets.Touched { return sockets.Touched{Expires: &d} }
	waiting := heard(time.Second, 0)
	waiting.Unacked = 1
	shut := heard(time.Second, 0)
	shut.Unsent = 1
	for name, tc := range map[string]struct {
		status   sockets.Status
		settings tcpka.Settings
		touched  sockets.Touched
		want     string
	}{
		"turned on":            {heard(4*time.Second, 0), on, sockets.Touched{On: true, Idle: true}, "a probe in 10s to 10.256s"},
		"idle set":             {heard(4*time.Second, 0), on, sockets.Touched{Idle: true}, "a probe in 6s to 6.256s"},
		"idle has passed":      {heard(14*time.Second, 0), on, sockets.Touched{Idle: true}, "a probe at once"},
		"by its timer":         {heard(2*time.Second, 0), on, in(8 * time.Second), "a probe in 8s, when its timer fires"},
		"lazy":                 {heard(time.Second, 0), on, in(2 * time.Second), "a probe in 9s: its timer fires in 2s, and sleeps again"},
		"after a poke":         {heard(2200*time.Millisecond, 1), on, in(7800 * time.Millisecond), "1 unanswered; a probe in 7.8s"},
		"between probes":       {heard(12*time.Second, 1), on, in(time.Second), "1 unanswered; a probe in 1s, when its timer fires"},
		"the last was sent":    {heard(18*time.Second, 3), on, in(time.Second), "its timer fires in 1s: the connection ends then, with 3 unanswered"},
		"user timeout":         {heard(12*time.Second, 1), limited, in(time.Second), "the connection ends then, with 1 unanswered"},
		"user timeout, before": {heard(9*time.Second, 0), limited, in(time.Second), "a probe in 1s"},
		"timer unknown":        {heard(12*time.Second, 1), on, sockets.Touched{}, "1 unanswered; the pending timer"},
		"off":                  {heard(time.Second, 0), tcpka.Settings{}, sockets.Touched{}, "keepalive is off"},
		"in flight":            {waiting, on, in(time.Second), "data is in flight"},
		"window":               {shut, on, in(time.Second), "window to open"},
		"listener":             {sockets.Status{State: sockets.Listen}, on, sockets.Touched{}, "accepted from now on"},
		"dead":                 {sockets.Status{State: sockets.Closed}, on, sockets.Touched{}, "there is no connection"},
	} {
		if got := sockets.Next(tc.status, tc.settings, tc.touched, 250); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
