package cli

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kax/httpka"
	"kax/internal/hosts"
	"kax/internal/need"
	"kax/internal/timeline"
)

// within holds what idle promises of a server that closes, against the server's
// own setting; a busy machine may add to it.
func within(t *testing.T, got timeline.Seconds, want, slack time.Duration) {
	t.Helper()
	d, allowed := time.Duration(got), max(300*time.Millisecond, want*3/100)
	if d < want-allowed || d > want+slack+allowed {
		t.Errorf("found %v, want %v to within %v", d, want+slack, allowed)
	}
}

func idle(t *testing.T, code int, args ...string) (*timeline.Idle, result) {
	t.Helper()
	res := run(t, kax(asIs, append([]string{"http", "idle", "--json"}, args...)...))
	if res.code != code {
		t.Fatalf("want exit code %d: %s", code, res)
	}
	return parseOpen(t, res).idle, res
}

// nodeBuffer is what Node waits beyond the keepAliveTimeout that it announces: a
// second, or server.keepAliveTimeoutBuffer (nodejs/node#59243). Before there was
// that, it was a constant, and before that nothing; which of the two the version
// does not say, so it is what found is nearer to.
func nodeBuffer(t *testing.T, found, announced time.Duration) time.Duration {
	t.Helper()
	out, err := exec.Command(need.Tool(t, "node"), "-p", `require('http').createServer().keepAliveTimeoutBuffer ?? -1`).Output()
	if err != nil {
		t.Fatal(err)
	}
	ms, err := strconv.Atoi(strings.TrimSpace(string(out)))
	switch {
	case err != nil:
		t.Fatal(err)
	case ms >= 0:
		return time.Duration(ms) * time.Millisecond
	case found > announced+500*time.Millisecond:
		return time.Second
	}
	return 0
}

// The idle timeouts of other people's servers are found.
func TestIdleServers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		start     func(t *testing.T) (url string)
		timeout   time.Duration
		slack     func(t *testing.T, found, announced time.Duration) time.Duration // that the server adds by itself
		announced string
	}{
		{"nginx", func(t *testing.T) string {
			return "http://127.0.0.1:" + nginx(t, "", "keepalive_timeout 2s 2s;")
		}, 2 * time.Second, nil, "timeout=2"},
		{"nginx behind TLS", func(t *testing.T) string {
			return "https://127.0.0.1:" + nginx(t, "ssl", "keepalive_timeout 3s 3s; ssl_certificate DIR/cert.pem; ssl_certificate_key DIR/key.pem;")
		}, 3 * time.Second, nil, "timeout=3"},
		{"Apache", func(t *testing.T) string {
			return "http://127.0.0.1:" + apache(t, "KeepAliveTimeout 2") + "/keep"
		}, 2 * time.Second, nil, "timeout=2, max=100"},
		{"Node", func(t *testing.T) string {
			return "http://127.0.0.1:" + node(t, "{keepAliveTimeout: 2000}")
		}, 2 * time.Second, nodeBuffer, "timeout=2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			url := tc.start(t)
			begun := time.Now()
			r, res := idle(t, 0, "-k", url)
			var slack time.Duration
			if tc.slack != nil {
				slack = tc.slack(t, time.Duration(r.Timeout), tc.timeout)
			}
			within(t, r.Timeout, tc.timeout, slack)
			t.Logf("%v, spread %v, in %v", time.Duration(r.Timeout), time.Duration(r.Spread), time.Since(begun))
			if r.How != timeline.IdleFIN || r.Samples != 5 || r.Announced != tc.announced || r.Status != 200 {
				t.Errorf("%s", res)
			}
			// 1.2 timeouts on a machine with nothing else to do; a second round
			// would take two on any.
			if r.Waited >= 2*r.Timeout {
				t.Errorf("it took %v, two timeouts", time.Duration(r.Waited))
			}
		})
	}
}

// Python's http.server speaks HTTP/1.0 and closes after each response: there is
// no timeout, and that is said.
func TestIdlePython(t *testing.T) {
	t.Parallel()
	url := "http://127.0.0.1:" + oldServer(t) + "/keep"
	for code, args := range map[int][]string{exitFailed: nil, exitProblem: {"--longer-than", "1"}} {
		res := run(t, kax(asIs, append([]string{"http", "idle", url}, args...)...))
		if res.code != code || !strings.Contains(res.stderr, "HTTP/1.0 without keep-alive") || !strings.Contains(res.stderr, "no idle timeout") {
			t.Errorf("%s", res)
		}
	}
}

// A connection that never got an answer has not lasted: the check fails.
func TestIdleFailedSample(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateNew && conns.Add(1) == 3 {
			c.Close()
		}
	}
	srv.Start()
	defer srv.Close()
	res := run(t, kax(asIs, "http", "idle", srv.URL, "--longer-than", "0.2", "--margin", "0.1"))
	if res.code != exitProblem || !strings.Contains(res.stdout, "1 connection had no first response") {
		t.Error(res)
	}
}

// A router that has forgotten a connection loses what comes on it, and only then
// shows that it has. Probes keep it from forgetting.
func TestIdleNAT(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		o      hosts.NAT
		flags  []string
		answer string
	}{
		{"dropped", hosts.NAT{Forget: 5 * time.Second}, []string{"--compare-keepalive"}, "nothing"},
		{"leaky", hosts.NAT{Forget: 3 * time.Second, Leaky: true}, nil, "reset"},
		{"TLS", hosts.NAT{Forget: 3 * time.Second}, []string{"-k"}, "nothing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if !inside(t) {
				return
			}
			n, err := hosts.NewRouted(tc.o, netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"))
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			scheme, secure := "http", slices.Contains(tc.flags, "-k")
			if secure {
				scheme = "https"
			}
			serveIn(t, n, secure)
			cmd := kax(asIs, append([]string{"http", "idle", "--json", scheme + "://" + n.ServerAddr.String() + ":80/keep"}, tc.flags...)...)
			var res result
			if err := n.Client.Do(func() error { res = run(t, cmd); return nil }); err != nil {
				t.Fatal(err)
			}
			t.Log(res)
			r := parseOpen(t, res).idle
			within(t, r.Timeout, tc.o.Forget, 0)
			if res.code != 0 || r.How != timeline.IdleSilent || r.Answer != tc.answer {
				t.Errorf("%s", res)
			}
			if most := tc.o.Forget * 5 / 2; time.Duration(r.Waited) > most+3*time.Second { // a busy machine adds to each round
				t.Errorf("it took %v, more than 2.5 timeouts", time.Duration(r.Waited))
			}
			if slices.Contains(tc.flags, "--compare-keepalive") && (r.Probed == nil || r.Probed.How != timeline.IdleNone ||
				time.Duration(r.Probed.AtLeast) < 2*tc.o.Forget || !strings.Contains(r.Probed.Effect, "keep")) {
				t.Errorf("probes: %s", res)
			}
		})
	}
}

// serveIn runs a server that keeps its connections, behind the router.
func serveIn(t *testing.T, n *hosts.Routed, secure bool) {
	t.Helper()
	var l net.Listener
	err := n.Server.Do(func() (err error) {
		l, err = (&net.ListenConfig{KeepAlive: -1}).Listen(context.Background(), "tcp4", n.ServerAddr.String()+":80")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var cfg httpka.ServerConfig
	if secure {
		cert, err := httpka.SelfSigned(n.ServerAddr.String())
		if err != nil {
			t.Fatal(err)
		}
		cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	srv := httpka.NewServer(cfg)
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
}

// Where there is nothing to measure, one line says why.
func TestIdleErrors(t *testing.T) {
	t.Parallel()
	mute := newPeer(t, "127.0.0.1:0")
	secure, plain := startServer(t, "--tls"), startServer(t, "--max-requests", "1")
	for _, tc := range []struct {
		args string
		code int
		want []string // on stderr
	}{
		{"http://no.such.host.invalid/", 1, []string{"no.such.host.invalid", "hint: no such name"}},
		{"http://127.0.0.1:1/", 1, []string{"connection refused", "hint: "}},
		{"http://" + mute.addr + "/ --give-up-after 0.3", 1, []string{"no response within 300ms"}},
		{secure.url + "/keep", 1, []string{"certificate", "hint: -k takes any"}},
		{"http" + strings.TrimPrefix(secure.url, "https") + "/keep", 1, []string{"HTTP/1.0 without keep-alive"}}, // of the server's refusal
		{"https" + strings.TrimPrefix(plain.url, "http") + "/keep", 1, []string{"TLS", "hint: does it speak TLS?"}},
		{plain.url + "/keep", 1, []string{"Connection: close", "no idle timeout"}},
		{plain.url + "/half", 1, []string{"closed inside a message"}},
		{secure.url + "/keep -k --give-up-after 0.4", 1, []string{"no idle timeout found within 400ms", "hint: --give-up-after"}},
		{secure.url + "/keep -k --longer-than 0.3 --margin 0.1", 0, nil},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Parallel()
			res := run(t, kax(asIs, append([]string{"http", "idle"}, strings.Fields(tc.args)...)...))
			if res.code != tc.code || strings.Count(res.stderr, "kax: ") > 1 {
				t.Errorf("want exit code %d: %s", tc.code, res)
			}
			for _, want := range tc.want {
				if !strings.Contains(res.stderr, want) {
					t.Errorf("no %q: %s", want, res)
				}
			}
		})
	}
}

// The check fails at what is shorter, and at what ends in the margin.
func TestIdleLongerThan(t *testing.T) {
	t.Parallel()
	server := startServer(t, "--idle-timeout", "1500ms")
	for _, tc := range []struct {
		args string
		code int
		how  timeline.IdleEnd
	}{
		{"--longer-than 0.5 --margin 0.2", exitOK, timeline.IdleNone},
		{"--longer-than 1 --margin 0.6", exitProblem, timeline.IdleFIN},
		{"--longer-than 1", exitProblem, timeline.IdleFIN},
		{"--longer-than 3", exitProblem, timeline.IdleFIN},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Parallel()
			r, res := idle(t, tc.code, append([]string{server.url + "/keep"}, strings.Fields(tc.args)...)...)
			if r.How != tc.how || r.Check == nil || r.Check.OK != (tc.code == exitOK) {
				t.Errorf("%s", res)
			}
		})
	}
}

// A server does not care about probes. ^C shows what is known.
func TestIdleCompareAndInterrupt(t *testing.T) {
	t.Parallel()
	server := startServer(t, "--idle-timeout", "2500ms")
	r, res := idle(t, 0, "--compare-keepalive", server.url+"/keep")
	if r.Probed == nil || r.Probed.How != timeline.IdleFIN || !strings.Contains(r.Probed.Effect, "change nothing") ||
		!r.Probed.Keepalive.Effective.Keepalive || time.Duration(r.Probed.Keepalive.Effective.Idle) != time.Second {
		t.Errorf("%s", res)
	}
	within(t, r.Probed.Timeout, 2500*time.Millisecond, 0)

	lasting := startServer(t)
	cut := start(t, kax(asIs, "http", "idle", "--json", lasting.url+"/keep"))
	cut.until(t, `"header"`)
	answered := 0 // rungs; when the second is, kax has long read the first's answer
	for deadline := time.Now().Add(20 * time.Second); answered < 2; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are used twice", answered)
		}
		answered = 0
		for _, c := range lasting.ever(t) {
			if c.Requests > 1 {
				answered++
			}
		}
	}
	if err := cut.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	res = cut.end(t)
	if r := parseOpen(t, res).idle; res.code != exitInterrupted || r == nil || r.How != timeline.IdleNone || time.Duration(r.AtLeast) < 500*time.Millisecond {
		t.Errorf("%s", res)
	}
}

// Well before the timeout requests are answered on their connection, well after
// it on another one.
func TestRace(t *testing.T) {
	t.Parallel()
	server := startServer(t, "--idle-timeout", "1s")
	res := run(t, kax(asIs, "http", "race", server.url+"/keep", "--span", "400ms", "--step", "100ms", "--trials", "3", "--json"))
	r := parseOpen(t, res).race
	if res.code != 0 || r == nil || len(r.Methods) != 2 {
		t.Fatalf("%s", res)
	}
	within(t, r.At, time.Second, 0)
	for _, m := range r.Methods {
		total := 0
		for _, o := range m.Offsets {
			total += o.Sent()
		}
		first, last := m.Offsets[0], m.Offsets[len(m.Offsets)-1]
		if len(m.Offsets) != 9 || total != 27 || m.Sent() != total || first.Fine != first.Sent() || last.Fresh != last.Sent() || last.Sent() == 0 {
			t.Errorf("%s", res)
		}
	}
	text := run(t, kax(asIs, "http", "race", server.url+"/keep", "--at", "1s", "--trials", "1"))
	if text.code != 0 || !strings.Contains(text.stdout, "\n    -5.0 ms") || !strings.Contains(text.stdout, "POST          21 sent: ") {
		t.Errorf("%s", text)
	}
	late := run(t, kax(asIs, "http", "race", server.url+"/keep", "--at", "1500ms", "--trials", "1"))
	if late.code != 0 || !strings.Contains(late.stdout, "the idle timeout is shorter") {
		t.Errorf("%s", late)
	}
}

// Each request of a race has the header that was asked for, the first on a
// connection and the one at the edge, in both methods.
func TestRaceHeader(t *testing.T) {
	t.Parallel()
	var with, posts, without atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Host != "there.test" || r.Header.Get("X-Test") != "yes" {
			without.Add(1)
			return
		}
		with.Add(1)
		if r.Method == http.MethodPost {
			posts.Add(1)
		}
	}))
	defer server.Close()
	res := run(t, kax(asIs, "http", "race", server.URL, "-H", "X-Test: yes", "-H", "Host: there.test",
		"--at", "20ms", "--span", "1ms", "--step", "1ms", "--trials", "2"))
	// 12 connections, and one that only looks.
	if !strings.Contains(res.stdout, "the idle timeout is longer") {
		t.Error(res)
	}
	if res.code != 0 || without.Load() != 0 || with.Load() < 25 || posts.Load() != 6 {
		t.Errorf("%d with the headers, %d of them POST, %d without: %s", with.Load(), posts.Load(), without.Load(), res)
	}
	for _, bad := range []string{"none", "a b: c", "X: a\nb"} {
		for _, command := range []string{"race", "idle"} {
			if res := run(t, kax(asIs, "http", command, server.URL, "-H", bad)); res.code != exitUsage || !strings.Contains(res.stderr, "must be like 'Name: value'") {
				t.Errorf("-H %q: %s", bad, res)
			}
		}
	}
}

// What cannot be raced says so in one line, before the hundreds of connections.
func TestRaceNot(t *testing.T) {
	t.Parallel()
	http2 := prints(t, exec.Command(need.Tool(t, "node"), "-e", `
const s = require('http2').createServer()
s.listen(0, '127.0.0.1', () => console.log(s.address().port))`))
	for name, tc := range map[string]struct{ url, says string }{
		"HTTP/2":   {"http://127.0.0.1:" + http2, "not HTTP/1: HTTP/2"},
		"HTTP/1.0": {"http://127.0.0.1:" + oldServer(t) + "/keep", "HTTP/1.0 without keep-alive"},
		"nobody":   {"http://127.0.0.1:" + freePort(t), "connection refused"},
		"no name":  {"http://nowhere.invalid/", "nowhere.invalid"},
		"TLS":      {startServer(t, "--tls").url, "certificate"},
	} {
		res := run(t, kax(asIs, "http", "race", tc.url, "--at", "1s"))
		first, _, _ := strings.Cut(res.stderr, "\n")
		if res.code != exitFailed || !strings.Contains(first, tc.says) || strings.Contains(res.stderr, `\x`) {
			t.Errorf("%s: %s", name, res)
		}
	}
}
