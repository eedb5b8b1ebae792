package cli

import (
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kax/internal/timeline"
)

func request(t *testing.T, args ...string) result {
	t.Helper()
	return run(t, kax(asIs, append([]string{"http", "request"}, args...)...))
}

// whys are the reasons of a run, "" for what was reused.
func whys(asked []*timeline.Exchange) (list []string) {
	for _, x := range asked {
		list = append(list, x.Why)
	}
	return list
}

// The limits and timeouts of real servers are found exactly, with their reason.
func TestRequestServers(t *testing.T) {
	t.Parallel()
	const reused = ""
	for _, tc := range []struct {
		name  string
		start func(*testing.T) string // returns the URL
		args  string
		want  []string
		said  string // in the last "because" or a verdict
	}{
		{"nginx, keepalive_requests", func(t *testing.T) string { return "http://127.0.0.1:" + nginx(t, "", "keepalive_requests 3;") + "/" },
			"--requests 8", []string{"first", reused, reused, "server-close", reused, reused, "server-close", reused},
			"The server said close with request 3 on each of 2 connections"},
		{"nginx, keepalive_timeout", func(t *testing.T) string { return "http://127.0.0.1:" + nginx(t, "", "keepalive_timeout 200ms;") + "/" },
			"--requests 3 --pause 0,0.6", []string{"first", reused, "server-fin"}, "the server closed #1 (FIN) after 2 requests, when it had been idle for "},
		{"nginx, TLS", func(t *testing.T) string {
			return "https://127.0.0.1:" + nginx(t, "ssl", "keepalive_requests 2; ssl_certificate DIR/cert.pem; ssl_certificate_key DIR/key.pem;") + "/"
		}, "-k --requests 5", []string{"first", reused, "server-close", reused, "server-close"}, "after 2 requests, as on #1"},
		{"nginx, without reuse", func(t *testing.T) string { return "http://127.0.0.1:" + nginx(t, "", "keepalive_timeout 0;") + "/" },
			"--requests 3", []string{"first", "server-close", "server-close"}, "the server said Connection: close on #2"},
		// Apache 2.4 counts the requests that follow the first (ap_set_keepalive):
		// 3 are 4 in all. It announces only to a client that says keep-alive.
		{"Apache, MaxKeepAliveRequests", func(t *testing.T) string { return "http://127.0.0.1:" + apache(t, "MaxKeepAliveRequests 3") + "/keep" },
			"--requests 9", []string{"first", reused, reused, reused, "server-close", reused, reused, reused, "server-close"},
			"The server said close with request 4 on each of 2 connections"},
		{"Apache, asked to announce", func(t *testing.T) string { return "http://127.0.0.1:" + apache(t, "MaxKeepAliveRequests 3") + "/keep" },
			"--requests 5 -H Connection:keep-alive", []string{"first", reused, reused, reused, "max-requests"}, "#1 had carried the 4 requests that the server allows it"},
		{"Apache, KeepAliveTimeout", func(t *testing.T) string { return "http://127.0.0.1:" + apache(t, "KeepAliveTimeout 300ms") + "/keep" },
			"--requests 3 --pause 0,0.9", []string{"first", reused, "server-fin"}, "the server closed #1 (FIN) after 2 requests"},
		{"Node, maxRequestsPerSocket", func(t *testing.T) string { return "http://127.0.0.1:" + node(t, "{maxRequestsPerSocket: 3}") + "/" },
			"--requests 8", []string{"first", reused, reused, "max-requests", reused, reused, "max-requests", reused}, "#2 had carried the 3 requests"},
		{"Node, keepAliveTimeout", func(t *testing.T) string { return "http://127.0.0.1:" + node(t, "{keepAliveTimeout: 200}") + "/" },
			"--requests 2 --pause 2.5", []string{"first", "server-fin"}, "the server closed #1 (FIN) after 1 request"},
		{"Node, a reset while idle", func(t *testing.T) string { return "http://127.0.0.1:" + node(t, "{resetAfter: 200}") + "/" },
			"--requests 3 --pause 0,0.9", []string{"first", reused, "server-rst"}, "the server reset #1 (RST) after 2 requests"},
		{"Python", func(t *testing.T) string { return "http://127.0.0.1:" + oldServer(t) + "/keep" },
			"--requests 3", []string{"first", "http/1.0", "http/1.0"}, "HTTP/1.0 without keep-alive on #2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			url := tc.start(t)
			res := request(t, append([]string{url, "--json"}, strings.Fields(tc.args)...)...)
			rec := parse(t, res)
			if res.code != exitOK || !slices.Equal(whys(rec.asked), tc.want) {
				t.Fatalf("%q, want %q: %s", whys(rec.asked), tc.want, res)
			}
			conns := 0
			because := strings.Join(rec.summary.Verdicts, " ")
			for _, x := range rec.asked {
				if !x.Reused {
					conns++
					because += " " + x.Because
				}
				secure := strings.HasPrefix(url, "https:")
				if x.Conn != conns || x.Status != 200 || x.Reused != (x.Saved > 0) || x.Reused == (x.Connect > 0) || x.Reused != (x.Idle > 0) ||
					(x.TLS > 0) != (secure && !x.Reused) || x.Body == 0 || x.Total < x.FirstByte || x.FirstByte == 0 {
					t.Errorf("%+v, want connection %d", x, conns)
				}
			}
			if !strings.Contains(because, tc.said) {
				t.Errorf("no %q: %s", tc.said, because)
			}
			if rec.summary.Connections != conns || rec.summary.Requests != len(tc.want) || rec.summary.Reused != len(tc.want)-conns {
				t.Errorf("summary %+v", rec.summary)
			}
		})
	}
}

// kax's own server, and the client's own limits.
func TestRequestReasons(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		serve []string
		args  string // of paths and flags
		want  string
	}{
		{"said close", nil, "/close /keep --requests 4", "first server-close - server-close"},
		{"announced", []string{"--announce", "--max-requests", "2"}, "/keep --requests 3", "first - max-requests"},
		{"not announced", []string{"--max-requests", "2"}, "/keep --requests 3", "first - server-close"},
		{"no reuse", nil, "/keep --requests 2 --no-reuse", "first client-close"},
		{"HTTP/1.0", nil, "/keep --requests 2 --http1.0", "first http/1.0"},
		{"HTTP/1.0 that asks", nil, "/keep --requests 3 --http1.0 -H Connection:keep-alive", "first - -"},
		{"HTTP/1.0 server", []string{"--http1.0"}, "/keep --requests 2", "first http/1.0"},
		{"idle timeout", []string{"--idle-timeout", "200ms"}, "/keep --requests 2 --pause 0.5", "first server-fin"},
		{"pool timeout", nil, "/keep --requests 2 --pause 0.5 --pool-idle 0.2", "first pool-timeout"},
		{"body unread", nil, "/bytes?n=100000 --requests 2 --read 10", "first body-unread"},
		{"a post", nil, "/keep --requests 2 -d a=b -d c", "first -"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, tc.serve...)
			args := strings.Fields(tc.args)
			for i, arg := range args {
				if strings.HasPrefix(arg, "/") {
					args[i] = server.url + arg
				}
			}
			res := request(t, append(args, "--json")...)
			rec := parse(t, res)
			got := whys(rec.asked)
			for i, w := range got {
				if w == "" {
					got[i] = "-"
				}
			}
			if res.code != exitOK || strings.Join(got, " ") != tc.want {
				t.Errorf("%q, want %q: %s", got, tc.want, res)
			}
			// The server counts the same.
			conns := rec.summary.Connections
			for i, c := range server.past(t, conns) {
				n := 0
				for _, x := range rec.asked {
					if x.Conn == i+1 {
						n++
					}
				}
				if c.Requests != n {
					t.Errorf("connection #%d: the server says %d requests, kax %d", i+1, c.Requests, n)
				}
			}
			server.stop(t)
		})
	}
}

// Three at a time, and a pool of one. Which connection another request becomes
// free for is a matter of luck; the counts are not: each request is reused or
// has a reason.
func TestRequestConcurrency(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	res := request(t, server.url+"/slow?d=200ms", "--requests", "6", "--concurrency", "3", "--pool-size", "1", "--json")
	rec := parse(t, res)
	got := whys(rec.asked)
	slices.Sort(got)
	if want := []string{"", "busy", "busy", "first", "pool-full", "pool-full"}; res.code != exitOK || !slices.Equal(got, want) {
		t.Errorf("%q, want %q: %s", got, want, res)
	}
}

// What goes wrong is one line, a hint, and exit code 1.
func TestRequestFailures(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	silent := "127.0.0.1:" + l.Addr().String()[strings.LastIndex(l.Addr().String(), ":")+1:]
	plain, secure := startServer(t), startServer(t, "--tls")
	plainAddr, secureAddr := strings.TrimPrefix(plain.url, "http://"), strings.TrimPrefix(secure.url, "https://")
	endless, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endless.Close() })
	go func() {
		c, err := endless.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = c.Read(make([]byte, 1000))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nsome")
		_, _ = io.Copy(io.Discard, c)
	}()
	for _, tc := range []struct{ args, want, hint string }{
		{"http://no.such.host.invalid/", "no.such.host.invalid", "no such name"},
		{"http://127.0.0.1:1/", "connection refused", "kax http serve"},
		{"http://" + silent + "/ --timeout 0.2", "no response within 200ms", "--timeout"},
		{"https://" + silent + "/ --timeout 0.2", "no end of the TLS handshake within 200ms", "--timeout"},
		{"http://" + endless.Addr().String() + "/ --timeout 0.3", "no end of the body within 300ms: 4 bytes of it came", "--timeout"},
		{"https://" + secureAddr + "/keep", "certificate", "-k"},
		{"https://" + plainAddr + "/keep", "does not look like a TLS handshake", "http://"},
		{"http://" + plainAddr + "/half", "the body broke off after 500 bytes: unexpected EOF", ""},
		{"http://" + plainAddr + "/rst", "the server reset the connection without a response: connection reset by peer", ""},
		{startServer(t, "--close-with", "rst").url + "/half", "the body broke off after 500 bytes: connection reset by peer", ""},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Parallel()
			res := request(t, append(strings.Fields(tc.args), "--source", "counters", "--json")...)
			rec := parse(t, res)
			if res.code != exitFailed || len(rec.asked) != 1 || !strings.Contains(rec.asked[0].Error, tc.want) {
				t.Errorf("want %q: %s", tc.want, res)
			}
			if strings.HasSuffix(tc.args, "/rst") && (len(rec.conns) != 1 || rec.conns[0].ClosedBy != "server" || rec.conns[0].Close != timeline.ByRST) {
				t.Errorf("who reset it: %s", res)
			}
			unconnected := "1 request failed: none got as far as a connection that could carry it."
			if got := rec.summary.Verdicts[0]; (got == unconnected) != (rec.summary.Requests == 0) {
				t.Errorf("verdict %q: %s", got, res)
			}
			lines := strings.Split(strings.TrimSpace(res.stderr), "\n")
			if !strings.HasPrefix(lines[0], "kax: request 1: GET http") || !strings.Contains(lines[0], tc.want) {
				t.Errorf("want %q: %s", tc.want, res)
			}
			if (len(lines) > 1) != (tc.hint != "") || len(lines) > 2 || len(lines) == 2 && (!strings.HasPrefix(lines[1], "hint: ") || !strings.Contains(lines[1], tc.hint)) {
				t.Errorf("hint %q: %s", tc.hint, res)
			}
		})
	}
}

// A server that takes HTTP/2 only.
func TestRequestHTTP2Only(t *testing.T) {
	t.Parallel()
	url := "http://127.0.0.1:" + nginx(t, "http2", "") + "/"
	res := request(t, url, "--json")
	if rec := parse(t, res); res.code != exitFailed || !strings.Contains(rec.asked[0].Error, "HTTP/2") || !strings.Contains(res.stderr, "hint: kax speaks HTTP/1.1") {
		t.Error(res)
	}
}

// A redirect is an answer, and not followed.
func TestRequestRedirect(t *testing.T) {
	t.Parallel()
	url := "http://127.0.0.1:" + nginx(t, "", "") + "/moved"
	res := request(t, url, "--summary")
	if res.code != exitOK || !strings.Contains(res.stdout, " 301 ") || !strings.Contains(res.stdout, "/there, not followed") {
		t.Error(res)
	}
}

// -v shows the heads as they are on the wire, under TLS too.
func TestRequestVerbose(t *testing.T) {
	t.Parallel()
	server := startServer(t, "--tls")
	res := request(t, server.url+"/keep", "-k", "-v", "--source", "counters", "--summary", "-X", "PUT", "-d", "a=b", "-H", "X-Test: y", "-H", "User-Agent: me", "-H", "Host: example.com")
	for _, want := range []string{"#1 > PUT /keep HTTP/1.1\n", "#1 > X-Test: y\n", "#1 > User-Agent: me\n", "#1 > Host: example.com\n", "#1 > Content-Length: 3\n", "#1 < HTTP/1.1 200 OK\n"} {
		if res.code != exitOK || !strings.Contains(res.stderr, want) {
			t.Errorf("no %q: %s", want, res)
		}
	}
}

// With packets each message stands at the packet that carries it, and the
// addresses agree.
func TestRequestPackets(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	if !inside(t) {
		return
	}
	server := startServer(t)
	res := request(t, server.url+"/keep", server.url+"/slow?d=300ms", "--requests", "4", "--pause", "1.5", "--keepidle", "1", "--json")
	rec := parse(t, res)
	if res.code != exitOK || rec.header.Source != timeline.AFPacket || rec.summary.Connections != 1 {
		t.Fatal(res)
	}
	if len(rec.kind("probe")) == 0 { // the first pause has one; the timer is lazy
		t.Errorf("no probe: %s", res)
	}
	checkMessages(t, rec, 4, res)
}

// checkMessages demands so many requests and responses, each at the packet that
// carries it.
func checkMessages(t *testing.T, rec records, n int, res result) {
	t.Helper()
	at := map[int]*timeline.Event{}
	for _, e := range rec.events {
		if e.Lane == timeline.TCP {
			at[e.Packet] = e
		}
	}
	for _, kind := range []string{"request", "response"} {
		found := rec.kind(kind)
		if len(found) != n {
			t.Errorf("%d of kind %s: %s", len(found), kind, res)
		}
		for _, e := range found {
			p := at[e.Packet]
			if p == nil || p.Kind != "data" || p.Side != e.Side || p.At != e.At {
				t.Errorf("%+v is not at its packet: %+v", e, p)
			}
		}
	}
}

// Servers with several ports are one timeline.
func TestRequestPorts(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	if !inside(t) {
		return
	}
	one, two := startServer(t), startServer(t, "--tls")
	res := request(t, one.url+"/keep", two.url+"/close", "--requests", "4", "-k", "--json")
	rec := parse(t, res)
	if got, want := whys(rec.asked), []string{"first", "first", "", "server-close"}; res.code != exitOK || !slices.Equal(got, want) {
		t.Errorf("%q, want %q: %s", got, want, res)
	}
	for _, c := range rec.conns {
		if c.Close == timeline.NotYet {
			t.Errorf("%+v: its packets are missing", c)
		}
	}
	if len(rec.conns) != 3 || rec.summary.Packets == 0 {
		t.Error(res)
	}
}

// What is told of a connection names it as the timeline does, though the client
// counts its own.
func TestRequestNumbers(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	res := request(t, server.url+"/slow?d=50ms", server.url+"/close", "--requests", "12", "--concurrency", "4", "--json")
	rec := parse(t, res)
	for _, x := range rec.asked {
		on := 0
		for _, e := range rec.kind("request") {
			if e.Conn == x.Conn {
				on++
			}
		}
		if x.Nth > on || x.WhyConn == x.Conn || x.WhyConn > len(rec.conns) {
			t.Errorf("%+v, and %d requests on the connection", x, on)
		}
	}
	if got := whys(rec.asked); slices.Contains(got, "unknown") {
		t.Errorf("%q", got)
	}
}

// ^C ends a run early: the summary is there, and the exit code says it.
func TestRequestInterrupted(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	r := start(t, kax(asIs, "http", "request", server.url+"/keep", "--requests", "3", "--pause", "60", "--json", "--source", "counters"))
	r.until(t, `"exchange"`)
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	res := r.end(t)
	if rec := parse(t, res); res.code != exitInterrupted || len(rec.asked) != 1 || time.Since(began) > 20*time.Second {
		t.Error(res)
	}
}
