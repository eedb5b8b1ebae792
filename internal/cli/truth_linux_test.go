package cli

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kax/internal/hosts"
	"kax/internal/timeline"
	"kax/tcpka"
)

// late is what a busy machine may add to a moment of the plan; early is what
// lies between the kernel's clock of timers and its stamps.
const (
	late  = 60 * time.Millisecond
	early = 10 * time.Millisecond // a jiffy where HZ is 100
)

// withKeepalive are the flags for these settings, in seconds and milliseconds.
func withKeepalive(idle, interval, count, userTimeout int) []string {
	flags := []string{"--keepidle", fmt.Sprint(idle), "--keepintvl", fmt.Sprint(interval), "--keepcnt", fmt.Sprint(count)}
	if userTimeout > 0 {
		flags = append(flags, "--user-timeout", fmt.Sprintf("%dms", userTimeout))
	}
	return flags
}

// planOf is the plan for the settings that the header reads back.
func planOf(t *testing.T, r records, side timeline.Side) tcpka.Plan {
	t.Helper()
	k := r.header.Settings.ClientTCP
	if side == timeline.Server {
		k = r.header.Settings.ServerTCP
	}
	p, err := tcpka.NewPlan(k.Effective.Settings(), r.header.Settings.HZ)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// checkProbes compares the timeline's probes with the kernel's count, and each
// with the moment for which it was predicted.
func checkProbes(t *testing.T, r records, want int) {
	t.Helper()
	probes := r.kind("probe")
	if n := kernelProbes(t); len(probes) != want || n != want || r.summary.Events["probe"] != want {
		t.Errorf("%d probes on the timeline, %d in its summary, %d by the kernel's counter, want %d", len(probes), r.summary.Events["probe"], n, want)
	}
	for _, p := range probes {
		if p.Due == nil {
			if r.header.Source == timeline.Counters {
				continue // seen too late to tell
			}
			t.Errorf("probe %d of #%d: no prediction", p.Nth, p.Conn)
			continue
		}
		// What is predicted is never looser than the plan's own windows.
		if p.At < p.Due.Earliest-timeline.Seconds(early) || p.At > p.Due.Latest+timeline.Seconds(late) {
			t.Errorf("probe %d of #%d at %v, due %v to %v", p.Nth, p.Conn,
				time.Duration(p.At), time.Duration(p.Due.Earliest), time.Duration(p.Due.Latest))
		}
	}
}

func near(w tcpka.Window, s timeline.Seconds) bool {
	d := time.Duration(s)
	return d >= w.Earliest-early && d <= w.Latest+late
}

// interrupt stops kax as ^C does, which is the end of a run, and no failure.
func interrupt(t *testing.T, run *running) records {
	t.Helper()
	if err := run.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	res := run.end(t)
	if res.code != 0 || strings.Contains(res.stderr, "interrupted") {
		t.Errorf("stopped: %s", res)
	}
	r := parse(t, res)
	if last := r.steps[len(r.steps)-1]; last.Name != "stop" {
		t.Errorf("the timeline does not say that the run was stopped: %+v", last)
	}
	for _, c := range r.conns {
		if c.Close == timeline.NotYet {
			t.Errorf("#%d was left open", c.ID)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(res)
		}
	})
	return r
}

func TestDialToAPeerThatAnswers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name           string
		mode           string
		addr           string
		idle, interval int
		flags          []string
		source         timeline.Source
	}{
		{"every second", asIs, "127.0.0.1:0", 1, 1, nil, timeline.AFPacket},
		{"every second, IPv6", asIs, "[::1]:0", 1, 1, nil, timeline.AFPacket},
		{"idle beyond interval", asIs, "127.0.0.1:0", 2, 1, nil, timeline.AFPacket},
		{"interval beyond idle", asIs, "127.0.0.1:0", 1, 2, nil, timeline.AFPacket},
		{"on lo", asIs, "127.0.0.1:0", 1, 1, []string{"--interface", "lo"}, timeline.AFPacket},
		{"counters", noRawAs, "127.0.0.1:0", 1, 1, nil, timeline.Counters},
		{"counters, idle beyond interval", noRawAs, "127.0.0.1:0", 2, 1, nil, timeline.Counters},
		{"counters, IPv6", asIs, "[::1]:0", 1, 1, []string{"--source", "counters"}, timeline.Counters},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if !inside(t) {
				return
			}
			peer := newPeer(t, tc.addr)
			flags := slices.Concat([]string{"tcp", "dial", peer.addr, "--json"}, withKeepalive(tc.idle, tc.interval, 5, 0), tc.flags)
			run := start(t, kax(tc.mode, flags...))
			peer.accept(t)
			const probes = 3
			for range probes {
				run.until(t, `"probe-answer"`)
			}
			r := interrupt(t, run)
			checkProbes(t, r, probes)
			if r.header.Source != tc.source || r.summary.Answered != probes || r.plan == nil || len(r.deaths) != 0 {
				t.Errorf("source %s, %d answered, plan %v, deaths %v", r.header.Source, r.summary.Answered, r.plan, r.deaths)
			}
			plan := planOf(t, r, timeline.Client)
			before := timeline.Seconds(0)
			for i, p := range r.kind("probe") {
				// The first has not met a timer that is in step with it.
				if apart := p.At - before; i > 1 && !near(plan.Every(), apart) {
					t.Errorf("probe %d comes %v after the last, planned %v", p.Nth, time.Duration(apart), plan.Every())
				}
				before = p.At
			}
			if !slices.Contains(r.summary.Verdicts, "All 3 probes came in the windows that the settings and the kernel's timers give them.") {
				t.Logf("verdicts: %q", r.summary.Verdicts) // a machine may be too busy for it
			}
			asked := tcpka.Settings{Enabled: true, Idle: time.Duration(tc.idle) * time.Second, Interval: time.Duration(tc.interval) * time.Second, Count: 5}
			if k := r.header.Settings.ClientTCP; k.Asked.Settings() != asked || k.Effective.Settings() != asked || r.header.Settings.ServerTCP != (timeline.Keepalive{}) {
				t.Errorf("settings %+v, want %v on the client's side", r.header.Settings, asked)
			}
		})
	}
}

// The deaths of FACTS, measured: what was measured then happens again.
var deaths = []struct {
	idle, interval, count, userTimeout int
	probes                             int
}{
	{1, 1, 5, 0, 5},
	{2, 1, 3, 0, 3},
	{1, 3, 2, 0, 2},
	{1, 1, 9, 3500, 3},
	{1, 1, 2, 5000, 4},
	{2, 5, 9, 1500, 1},
	{1, 1, 9, 500, 1},
}

func TestDialToAPeerThatVanishes(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{asIs, noRawAs} {
		for _, d := range deaths {
			t.Run(fmt.Sprintf("%s, %d %d %d %d", mode, d.idle, d.interval, d.count, d.userTimeout), func(t *testing.T) {
				t.Parallel()
				if !inside(t) {
					return
				}
				peer := newPeer(t, "127.0.0.1:0")
				flags := append([]string{"tcp", "dial", peer.addr, "--json"}, withKeepalive(d.idle, d.interval, d.count, d.userTimeout)...)
				run := start(t, kax(mode, flags...))
				peer.accept(t)
				drop(t, peer.port)
				res := run.end(t)
				if res.code != 0 {
					t.Fatal(res)
				}
				r := parse(t, res)
				checkProbes(t, r, d.probes)
				checkTimeout(t, r, timeline.Client, d.probes)
				if t.Failed() {
					t.Log(res)
				}
			})
		}
	}
}

// checkTimeout checks the only death: a peer that was given up.
func checkTimeout(t *testing.T, r records, side timeline.Side, probes int) {
	t.Helper()
	if len(r.deaths) != 1 || len(r.conns) != 1 {
		t.Fatalf("%d deaths, %d connections", len(r.deaths), len(r.conns))
	}
	got := *r.deaths[0]
	want := timeline.Death{
		At: got.At, Conn: 1, Errno: "ETIMEDOUT", Text: "connection timed out", Poll: []string{"IN", "ERR", "HUP", "RDHUP"},
		Then: "end of file", Write: "EPIPE", Unanswered: probes, Lasted: got.Lasted, Quiet: got.Quiet,
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("death %+v, want %+v", got, want)
	}
	at, least, most := planOf(t, r, side).Death()
	if probes < least || probes > most || !near(at, got.Quiet) || !near(at, got.Lasted) {
		t.Errorf("dead after %v of quiet and %v in all, with %d probes; planned %v with %d to %d",
			time.Duration(got.Quiet), time.Duration(got.Lasted), probes, at, least, most)
	}
	c := r.conns[0]
	if c.Close != timeline.Timeout || c.ClosedBy != side || c.Probes != probes || c.Answered != 0 {
		t.Errorf("conn %+v", c)
	}
	if !slices.ContainsFunc(r.summary.Verdicts, func(v string) bool {
		return strings.Contains(v, "probes unanswered, as planned") || strings.Contains(v, "1 probe unanswered, as planned")
	}) {
		t.Errorf("verdicts %q", r.summary.Verdicts)
	}
}

// A peer that comes back without its connections answers the first probe with a
// reset.
func TestDialToAPeerThatResets(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, mode string) {
		peer := newPeer(t, "127.0.0.1:0")
		run := start(t, kax(mode, append([]string{"tcp", "dial", peer.addr, "--json"}, withKeepalive(1, 1, 5, 0)...)...))
		c := peer.accept(t)
		lift := drop(t, peer.port)
		if err := hosts.Forget(c); err != nil { // its reset is lost
			t.Fatal(err)
		}
		lift()
		res := run.end(t)
		if res.code != 0 {
			t.Fatal(res)
		}
		r := parse(t, res)
		checkProbes(t, r, 1)
		if len(r.deaths) != 1 || len(r.conns) != 1 {
			t.Fatalf("%d deaths, %d connections\n%s", len(r.deaths), len(r.conns), res)
		}
		d := r.deaths[0]
		if d.Errno != "ECONNRESET" || d.Then != "end of file" || d.Write != "EPIPE" || !slices.Equal(d.Poll, []string{"IN", "ERR", "HUP", "RDHUP"}) {
			t.Errorf("death %+v", d)
		}
		first := planOf(t, r, timeline.Client).First()
		if mode == noRawAs {
			first.Latest += time.Minute // seen when the machine has time for it
		}
		if !near(first, d.Lasted) {
			t.Errorf("died after %v, the first probe is planned for %v", time.Duration(d.Lasted), first)
		}
		if got := r.conns[0]; got.Close != timeline.ByRST || got.ClosedBy != timeline.Server {
			t.Errorf("conn %+v", got)
		}
		if t.Failed() {
			t.Log(res)
		}
	})
}

// A peer that closes is no death by keepalive: the program reads the end.
func TestDialToAPeerThatCloses(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, mode string) {
		peer := newPeer(t, "127.0.0.1:0")
		run := start(t, kax(mode, "tcp", "dial", peer.addr, "--json"))
		c := peer.accept(t)
		if _, err := c.Write([]byte("goodbye")); err != nil { // which kax throws away
			t.Fatal(err)
		}
		c.Close()
		res := run.end(t)
		if res.code != 0 {
			t.Fatal(res)
		}
		r := parse(t, res)
		checkProbes(t, r, 0)
		if len(r.deaths) != 1 || r.deaths[0].Errno != "" || !strings.Contains(r.deaths[0].Text, "end of file") || r.deaths[0].Unanswered != 0 {
			t.Errorf("deaths: %s", res)
		}
		if len(r.conns) != 1 || r.conns[0].Close != timeline.ByFIN || r.conns[0].ClosedBy != timeline.Server {
			t.Errorf("conns: %s", res)
		}
	})
}

// What the listener has, accepted connections inherit, and each is held against
// the plan.
func TestListen(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, mode string) {
		const addr = "127.0.0.1:3000"
		run := start(t, kax(mode, append([]string{"tcp", "listen", "--json"}, withKeepalive(1, 1, 5, 0)...)...))
		run.until(t, `"listen"`)
		first, second := connect(t, addr), connect(t, addr)
		for range 4 { // two of each
			run.until(t, `"probe-answer"`)
		}
		first.Close()
		run.until(t, `"death"`)
		second.Close()
		run.until(t, `"death"`)
		r := interrupt(t, run)
		// A third of the second may have gone out before it was closed.
		n := len(r.kind("probe"))
		if n < 4 || n > 5 {
			t.Errorf("%d probes", n)
		}
		checkProbes(t, r, n)
		by := map[int]int{}
		for _, p := range r.kind("probe") {
			by[p.Conn]++
			if p.Side != timeline.Server {
				t.Errorf("a probe of the %s", p.Side)
			}
		}
		if by[1] < 2 || by[2] < 2 || len(r.conns) != 2 || r.conns[0].Answered < 2 {
			t.Errorf("probes by connection %v", by)
		}
		accepted := 0
		for _, s := range r.steps {
			if s.Name == "accepted" {
				accepted++
				if !strings.Contains(s.Text, "inherited: on, idle 1s, interval 1s, count 5") {
					t.Errorf("accepted: %s", s.Text)
				}
			}
		}
		if accepted != 2 || len(r.deaths) != 2 {
			t.Errorf("%d accepted, %d deaths", accepted, len(r.deaths))
		}
		for _, d := range r.deaths {
			if d.Errno != "" || !strings.Contains(d.Text, "end of file") {
				t.Errorf("death %+v", d)
			}
		}
		for _, c := range r.conns {
			if c.Close != timeline.ByFIN || c.ClosedBy != timeline.Client {
				t.Errorf("conn %+v", c)
			}
		}
	})
}

// A client that vanishes is given up, and the listener goes on.
func TestListenToAClientThatVanishes(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, mode string) {
		const addr = "127.0.0.1:3000"
		run := start(t, kax(mode, append([]string{"tcp", "listen", addr, "--json"}, withKeepalive(1, 1, 2, 0)...)...))
		run.until(t, `"listen"`)
		c := connect(t, addr)
		run.until(t, `"accepted"`)
		drop(t, c.LocalAddr().(*net.TCPAddr).AddrPort().Port())
		run.until(t, `"death"`)
		r := interrupt(t, run)
		checkProbes(t, r, 2)
		checkTimeout(t, r, timeline.Server, 2)
	})
}
