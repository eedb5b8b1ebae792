package sockets_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kax/internal/hosts"
	"kax/internal/netns"
	"kax/internal/sockets"
	"kax/internal/testnet"
	"kax/tcpka"
)

// onFor is keepalive that does nothing for so long.
func onFor(idle time.Duration) tcpka.Settings {
	return tcpka.Settings{Enabled: true, Idle: idle, Interval: 50 * time.Second, Count: 9}
}

var kinds = map[string]tcpka.Settings{
	"on":  onFor(time.Minute),
	"off": {Idle: time.Minute, Interval: 50 * time.Second, Count: 9},
	// Turned on for a moment, these would probe at once, or be taken for what
	// the poke has set.
	"off, idle for 1s": {Idle: time.Second, Interval: 50 * time.Second, Count: 9},
	"off, idle for 2s": {Idle: 2 * time.Second, Interval: 50 * time.Second, Count: 9},
}

// eachKind runs a test on a connection of each kind, each in a network of its own.
func eachKind(t *testing.T, test func(*testing.T, *pair, tcpka.Settings) error) {
	for name, settings := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testnet.In(t, func() error {
				p, err := connect(t, settings)
				if err != nil {
					return err
				}
				return test(t, p, settings)
			})
		})
	}
}

// poke pokes a pair once it is quiet enough.
func (p *pair) poke(wait time.Duration, force bool) (sockets.Outcome, error) {
	if err := p.quiet(time.Second); err != nil {
		return sockets.Outcome{}, err
	}
	return p.Poke(context.Background(), wait, force)
}

func TestPokeAnswered(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, p *pair, settings tcpka.Settings) error {
		o, err := p.poke(time.Minute, false)
		if err != nil {
			return err
		}
		if o.Result != sockets.Answered || o.After <= 0 || o.After > o.Waited || o.Used || o.Dead {
			t.Errorf("%+v", o)
		}
		return errors.Join(p.has(settings), probes(1), p.exchange())
	})
}

func TestPokeUnanswered(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, p *pair, settings tcpka.Settings) error {
		if err := p.vanish(); err != nil {
			return err
		}
		o, err := p.poke(300*time.Millisecond, false)
		if err != nil {
			return err
		}
		if o.Result != sockets.Unanswered || o.After != 0 || o.Waited < 300*time.Millisecond || o.Dead {
			t.Errorf("%+v", o)
		}
		return errors.Join(p.has(settings), probes(1), p.lift(), p.exchange())
	})
}

func TestPokeReset(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, p *pair, settings tcpka.Settings) error {
		if err := p.vanish(); err != nil {
			return err
		}
		// A RST that is lost, and then the peer knows nothing any more.
		if err := errors.Join(hosts.Forget(p.peer), p.lift()); err != nil {
			return err
		}
		o, err := p.poke(time.Minute, false)
		if err != nil {
			return err
		}
		if o.Result != sockets.Reset {
			t.Errorf("%+v", o)
		}
		// The owner still learns of it.
		if _, err := p.mine.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "reset by peer") {
			t.Errorf("the owner reads: %v", err)
		}
		return errors.Join(p.has(settings), probes(1))
	})
}

// Interrupted at once, before the probe is out, there is none, and the settings
// are as before.
func TestPokeInterrupted(t *testing.T) {
	t.Parallel()
	cause := errors.New("somebody was in a hurry")
	eachKind(t, func(t *testing.T, p *pair, settings tcpka.Settings) error {
		if err := p.quiet(time.Second); err != nil {
			return err
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		if o, err := p.Poke(ctx, time.Minute, false); !errors.Is(err, cause) {
			return fmt.Errorf("%+v, %w", o, err)
		}
		return errors.Join(p.has(settings), p.exchange())
	})
}

// On a connection that waits for answers already, a poke is one probe, and not
// another one when the settings are put back.
func TestPokeWhileProbing(t *testing.T) {
	t.Parallel()
	testnet.In(t, func() error {
		settings := onFor(2 * time.Second)
		p, err := connect(t, settings)
		if err != nil {
			return err
		}
		if err := p.vanish(); err != nil {
			return err
		}
		if err := p.until("probing", func(st sockets.Status) bool { return st.ProbesOut == 1 }); err != nil {
			return err
		}
		o, err := p.Poke(context.Background(), 300*time.Millisecond, false)
		if err != nil {
			return err
		}
		if o.Result != sockets.Unanswered {
			t.Errorf("%+v", o)
		}
		return errors.Join(p.has(settings), probes(2))
	})
}

// After a poke the connection's own probes come as they would have, and those
// of a peer that answered as they always do.
func TestProbesAfterPoke(t *testing.T) {
	t.Parallel()
	const idle = 3 * time.Second
	hz, err := tcpka.HZ()
	if err != nil {
		t.Fatal(err)
	}
	plan, err := tcpka.NewPlan(onFor(idle), hz)
	if err != nil {
		t.Fatal(err)
	}
	due := plan.First()
	due.Latest += 200 * time.Millisecond // for a machine under load
	for name, alive := range map[string]bool{"answered": true, "unanswered": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testnet.In(t, func() error {
				p, err := connect(t, onFor(idle))
				if err != nil {
					return err
				}
				if !alive {
					if err := p.vanish(); err != nil {
						return err
					}
				}
				if o, err := p.poke(100*time.Millisecond, false); err != nil || (o.Result == sockets.Answered) != alive {
					return fmt.Errorf("%+v, %w", o, err)
				}
				st, err := p.Status()
				if err != nil {
					return err
				}
				heard := time.Now().Add(-st.Quiet())
				for guard := time.Now().Add(time.Minute); time.Now().Before(guard); time.Sleep(time.Millisecond) {
					if n, err := netns.Counter("TcpExt", "TCPKeepAlive"); err != nil || n > 1 {
						if after := time.Since(heard); !due.Contains(after) {
							t.Errorf("the next probe went %v after the peer was last heard, want %v", after, due)
						}
						return err
					}
				}
				return errors.New("no other probe within a minute")
			})
		})
	}
}

func TestPokeRefused(t *testing.T) {
	t.Parallel()
	last := onFor(time.Minute)
	last.Count = 1
	limited := onFor(time.Minute)
	limited.UserTimeout = time.Minute
	for name, tc := range map[string]struct {
		settings  tcpka.Settings
		prepare   func(*pair) error
		want      string
		forceable bool
	}{
		"in flight":    {onFor(time.Minute), func(p *pair) error { return errors.Join(p.vanish(), p.writes(), p.quiet(time.Second)) }, "in flight", false},
		"window":       {onFor(time.Minute), func(p *pair) error { return errors.Join(p.fills(), p.quiet(time.Second)) }, "window to open", false},
		"just heard":   {onFor(time.Minute), (*pair).exchange, "idle for 1s", false},
		"half closed":  {onFor(time.Minute), func(p *pair) error { return errors.Join(p.peer.CloseWrite(), p.quiet(time.Second)) }, "CLOSE-WAIT", true},
		"last probe":   {last, func(p *pair) error { return p.quiet(time.Second) }, "it ends with 1 unanswered, and has 0", true},
		"user timeout": {limited, func(p *pair) error { return p.quiet(time.Second) }, "user timeout, 1m", true},
		"dead": {onFor(time.Minute), func(p *pair) error {
			return errors.Join(hosts.Forget(p.peer), p.until("closed", func(st sockets.Status) bool { return st.State == sockets.Closed }))
		}, "UNCONN", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testnet.In(t, func() error {
				p, err := connect(t, tc.settings)
				if err != nil {
					return err
				}
				if err := tc.prepare(p); err != nil {
					return err
				}
				for _, force := range []bool{false, true} {
					o, err := p.Poke(context.Background(), 100*time.Millisecond, force)
					if force && tc.forceable {
						if err != nil || o.Result != sockets.Answered {
							t.Errorf("forced: %+v, %v", o, err)
						}
						continue
					}
					if r := (*sockets.Refusal)(nil); !errors.As(err, &r) || !strings.Contains(r.Reason, tc.want) || r.Forceable != tc.forceable {
						t.Errorf("force %v: %+v, %v; want %q", force, o, err, tc.want)
					}
					if err := probes(0); err != nil {
						t.Error(err)
					}
				}
				return p.has(tc.settings)
			})
		})
	}
}

func (p *pair) writes() error {
	_, err := p.mine.Write([]byte("lost"))
	return err
}

// fills writes until the peer, which does not read, has no room any more.
func (p *pair) fills() error {
	if err := p.mine.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		return err
	}
	for {
		if _, err := p.mine.Write(make([]byte, 1<<20)); err != nil {
			break // the deadline
		}
	}
	return p.until("closed by the window", func(st sockets.Status) bool { return st.PeerWindow == 0 && st.Unsent > 0 && st.Unacked == 0 })
}

// Where nothing is left a forced poke is the end, and told as what it is.
func TestPokeForcedToDeath(t *testing.T) {
	t.Parallel()
	testnet.In(t, func() error {
		settings := onFor(time.Second)
		settings.Count = 1
		p, err := connect(t, settings)
		if err != nil {
			return err
		}
		if err := p.vanish(); err != nil {
			return err
		}
		if err := p.until("probing", func(st sockets.Status) bool { return st.ProbesOut == 1 }); err != nil {
			return err
		}
		var r *sockets.Refusal
		if _, err := p.Poke(context.Background(), time.Second, false); !errors.As(err, &r) || !strings.Contains(r.Reason, "ends with 1 unanswered, and has 1") {
			t.Errorf("not forced: %v", err)
		}
		o, err := p.Poke(context.Background(), time.Minute, true)
		if err != nil {
			return err
		}
		if o.Result != sockets.Unanswered || !o.Dead {
			t.Errorf("%+v", o)
		}
		return probes(1)
	})
}

// Data that crosses meanwhile is an answer too, and told as such.
func TestPokeUsedMeanwhile(t *testing.T) {
	t.Parallel()
	testnet.In(t, func() error {
		p, err := connect(t, onFor(time.Minute))
		if err != nil {
			return err
		}
		if err := p.quiet(time.Second); err != nil {
			return err
		}
		// The peer is out of reach for the probe, and then speaks.
		if err := p.vanish(); err != nil {
			return err
		}
		spoken := make(chan error, 1)
		go func() {
			err := p.until("poked", func(st sockets.Status) bool { return st.ProbesOut == 1 })
			if err == nil {
				_, err = p.peer.Write([]byte("here"))
			}
			spoken <- err
		}()
		lifted := make(chan error, 1)
		// The namespace is this thread's, so Poke runs on another one.
		go func() {
			o, err := p.Poke(context.Background(), time.Minute, false)
			if err == nil && (o.Result != sockets.Answered || !o.Used) {
				err = fmt.Errorf("%+v", o)
			}
			lifted <- err
		}()
		if err := <-spoken; err != nil {
			return err
		}
		if err := p.lift(); err != nil { // its retransmission arrives
			return err
		}
		return errors.Join(<-lifted, p.has(onFor(time.Minute)), probes(1))
	})
}
