package cli

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"kax/internal/hosts"
	"kax/tcpka"
)

func TestPokeForeign(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *foreign) {
		before := f.options(t)
		f.quiet(t, time.Second)
		res := run(t, kax(asIs, "tcp", "poke", "--pid", f.pid(), "--fd", f.fd(), "--json", "--wait", "1m"))
		if res.code != 0 {
			t.Fatal(res)
		}
		p := parseOpen(t, res).pokes[0]
		if p.Result != "answered" || p.After <= 0 || p.After > p.Waited || !strings.Contains(p.Note, "sysctl tcp_keepalive_time") {
			t.Error(res)
		}
		unchanged(t, before, f.options(t))
		f.stillServes(t)
	})
}

func TestPokeProblems(t *testing.T) {
	t.Parallel()
	inNetwork(t, func(f *foreign) error {
		lift, err := hosts.Drop(netip.MustParseAddrPort(f.conn.LocalAddr().String()).Port())
		if err != nil {
			return err
		}
		was := f.settings(t)
		f.quiet(t, time.Second)
		res := outside(t, "tcp", "poke", "--pid", f.pid(), "--fd", f.fd(), "--wait", "200ms")
		if res.code != exitProblem || !strings.Contains(res.stdout, "unanswered after ") || res.stderr != "" {
			t.Error(res)
		}
		if got := f.settings(t); got != was {
			t.Errorf("%+v, was %+v", got, was)
		}
		// The peer goes, and its RST is lost.
		if err := errors.Join(hosts.Forget(f.conn.(syscall.Conn)), lift()); err != nil {
			return err
		}
		res = outside(t, "tcp", "poke", "--pid", f.pid(), "--fd", f.fd(), "--json")
		if res.code != exitProblem || parseOpen(t, res).pokes[0].Result != "reset" || res.stderr != "" {
			t.Error(res)
		}
		keepalives(t, 2)
		return nil
	})
}

// Whatever stops a poke, the settings are as before.
func TestPokeStopped(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			inNetwork(t, func(f *foreign) error {
				if _, err := hosts.Drop(netip.MustParseAddrPort(f.conn.LocalAddr().String()).Port()); err != nil {
					return err
				}
				was := f.settings(t)
				f.quiet(t, time.Second)
				cmd := start(t, kax(asIs, "tcp", "poke", "--pid", f.pid(), "--fd", f.fd(), "--wait", "10m"))
				eventually(t, "poked", func() bool {
					st, err := f.Status()
					return err != nil || st.ProbesOut == 1
				})
				if err := cmd.cmd.Process.Signal(sig); err != nil {
					return err
				}
				if res := cmd.end(t); res.code != exitInterrupted || !strings.Contains(res.stderr, "interrupted") || res.stdout != "" {
					t.Error(res)
				}
				if got := f.settings(t); got != was {
					t.Errorf("%+v, was %+v", got, was)
				}
				keepalives(t, 1)
				return nil
			})
		})
	}
}

// A stop while the settings are changed puts them back too.
func TestPokeStoppedEarly(t *testing.T) {
	t.Parallel()
	caught := 0
	f := pythonServer(t, "127.0.0.1")
	was := f.settings(t)
	for range 3 {
		f.quiet(t, time.Second)
		cmd := start(t, kax(asIs, "tcp", "poke", "--pid", f.pid(), "--fd", f.fd()))
		var ended bool
		eventually(t, "begun", func() bool {
			for range 1000 {
				if f.settings(t) != was {
					caught++
					return true
				}
			}
			ended = syscall.Kill(cmd.cmd.Process.Pid, 0) != nil
			st, err := f.Status()
			return ended || err != nil || st.Quiet() < time.Second
		})
		_ = cmd.cmd.Process.Signal(syscall.SIGTERM)
		res := cmd.end(t)
		if res.code != 0 && res.code != exitInterrupted {
			t.Error(res)
		}
		if got := f.settings(t); got != was {
			t.Errorf("%s\n%+v, was %+v", res, got, was)
		}
	}
	if caught == 0 {
		t.Log("the machine is busy: no poke was caught while the settings were changed")
	}
	f.stillServes(t)
}

func TestPokeRefuses(t *testing.T) {
	t.Parallel()
	f := pythonServer(t, "127.0.0.1")
	poke := func(more ...string) result {
		return run(t, kax(asIs, append([]string{"tcp", "poke", "--pid", f.pid(), "--fd", f.fd()}, more...)...))
	}
	// A server that is asked again and again is never idle, however late kax looks.
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			select {
			case <-stop:
				stopped <- nil
				return
			case <-time.After(50 * time.Millisecond):
				err = f.exchange()
			}
		}
		stopped <- err
	}()
	busy := poke()
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if res := busy; res.code != exitFailed || !strings.Contains(res.stderr, "idle for 1s") || strings.Contains(res.stderr, "hint") || res.stdout != "" {
		t.Error(res)
	}
	if _, err := tcpka.SetFD(f.FD(), tcpka.Settings{Count: 1}); err != nil {
		t.Fatal(err)
	}
	f.quiet(t, time.Second)
	if res := poke(); res.code != exitFailed || !strings.Contains(res.stderr, "one lost probe could kill it") || !strings.Contains(res.stderr, "hint: --force") {
		t.Error(res)
	}
	if res := poke("--force"); res.code != 0 {
		t.Error(res)
	}
	f.stillServes(t)
}

// A program that ends is not kept from closing its socket by a poke that waits.
func TestPokeOfAProgramThatEnds(t *testing.T) {
	t.Parallel()
	inNetwork(t, func(f *foreign) error {
		if _, err := hosts.Drop(netip.MustParseAddrPort(f.conn.LocalAddr().String()).Port()); err != nil {
			return err
		}
		f.quiet(t, time.Second)
		cmd := start(t, kax(asIs, "tcp", "poke", "--pid", f.pid(), "--fd", f.fd(), "--wait", "10m"))
		eventually(t, "poked", func() bool {
			st, err := f.Status()
			return err != nil || st.ProbesOut == 1
		})
		if err := syscall.Kill(f.PID, syscall.SIGKILL); err != nil {
			return err
		}
		res := cmd.end(t)
		if res.code != exitFailed || !strings.Contains(res.stderr, "the process has ended") || !strings.Contains(res.stderr, "hint: the settings are as before") {
			t.Error(res)
		}
		return nil
	})
}
