package httpka_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kax/httpka"
)

// script is a server whose connections do what the test says, one after the
// other: its functions get a request's turn.
func script(t *testing.T, serve func(n int, c *net.TCPConn, next func() *http.Request)) (url string) {
	t.Helper()
	l := listen(t)
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	t.Cleanup(func() { l.Close() })
	all.Go(func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				r := bufio.NewReader(c)
				serve(n, c.(*net.TCPConn), func() *http.Request {
					req, err := http.ReadRequest(r)
					if err != nil {
						return nil // the client has closed
					}
					_, _ = io.Copy(io.Discard, req.Body)
					return req
				})
			})
		}
	})
	return "http://" + l.Addr().String() + "/"
}

func answer(c net.Conn, head string) { _, _ = io.WriteString(c, head) }

const (
	noContent      = "HTTP/1.1 204 No Content\r\n\r\n"
	noContentClose = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
)

func exchange(t *testing.T, c *httpka.Client, url string, b httpka.Bounds) *httpka.Exchange {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Exchange(req, b)
}

// Each reason has its evidence, and no other one is given.
func TestNotReused(t *testing.T) {
	keep := func(_ int, c *net.TCPConn, next func() *http.Request) {
		for next() != nil {
			answer(c, noContent)
		}
	}
	with := func(heads ...string) func(int, *net.TCPConn, func() *http.Request) {
		return func(_ int, c *net.TCPConn, next func() *http.Request) {
			for _, head := range heads {
				if next() == nil {
					return
				}
				answer(c, head)
			}
		}
	}
	long := "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nlong body"
	for _, test := range []struct {
		name   string
		cfg    httpka.ClientConfig
		serve  func(int, *net.TCPConn, func() *http.Request)
		bounds httpka.Bounds
		gone   bool // wait after each request until the connection is closed
		want   []httpka.Reason
	}{
		{"reused", httpka.ClientConfig{}, keep, httpka.Bounds{}, false,
			[]httpka.Reason{httpka.FirstRequest, httpka.WasReused, httpka.WasReused}},
		{"server close", httpka.ClientConfig{}, with(noContent, noContentClose), httpka.Bounds{}, false,
			[]httpka.Reason{httpka.FirstRequest, httpka.WasReused, httpka.ServerClose, httpka.WasReused, httpka.ServerClose}},
		{"client close", httpka.ClientConfig{NoReuse: true}, keep, httpka.Bounds{}, false,
			[]httpka.Reason{httpka.FirstRequest, httpka.ClientClose, httpka.ClientClose}},
		{"counted down", httpka.ClientConfig{}, with("HTTP/1.1 204 x\r\nKeep-Alive: timeout=5, max=1\r\n\r\n", noContentClose), httpka.Bounds{}, false,
			[]httpka.Reason{httpka.FirstRequest, httpka.WasReused, httpka.MaxRequests}},
		{"the limit each time", httpka.ClientConfig{}, with("HTTP/1.1 204 x\r\nKeep-Alive: max=2\r\n\r\n", noContentClose), httpka.Bounds{}, false,
			[]httpka.Reason{httpka.FirstRequest, httpka.WasReused, httpka.MaxRequests}},
		{"before the limit", httpka.ClientConfig{}, with("HTTP/1.1 204 x\r\nKeep-Alive: max=99\r\n\r\n", noContentClose), httpka.Bounds{}, false,
			[]httpka.Reason{httpka.FirstRequest, httpka.WasReused, httpka.ServerClose}},
		{"old server", httpka.ClientConfig{}, with("HTTP/1.0 204 No Content\r\n\r\n"), httpka.Bounds{}, false,
			[]httpka.Reason{httpka.FirstRequest, httpka.OldVersion, httpka.OldVersion}},
		{"old client", httpka.ClientConfig{HTTP10: true}, with("HTTP/1.0 204 No Content\r\n\r\n"), httpka.Bounds{}, false,
			[]httpka.Reason{httpka.FirstRequest, httpka.OldVersion, httpka.OldVersion}},
		{"old client, new server", httpka.ClientConfig{HTTP10: true}, with(noContent), httpka.Bounds{}, false,
			[]httpka.Reason{httpka.FirstRequest, httpka.OldVersion, httpka.OldVersion}},
		{"until close", httpka.ClientConfig{}, with("HTTP/1.1 200 OK\r\n\r\nto the end"), httpka.Bounds{}, false,
			[]httpka.Reason{httpka.FirstRequest, httpka.UntilClose, httpka.UntilClose}},
		{"FIN while idle", httpka.ClientConfig{}, with(noContent), httpka.Bounds{}, true,
			[]httpka.Reason{httpka.FirstRequest, httpka.ServerFIN, httpka.ServerFIN}},
		{"RST while idle", httpka.ClientConfig{}, func(_ int, c *net.TCPConn, next func() *http.Request) {
			if next() != nil {
				answer(c, noContent)
				_ = c.SetLinger(0)
			}
		}, httpka.Bounds{}, true, []httpka.Reason{httpka.FirstRequest, httpka.ServerRST, httpka.ServerRST}},
		{"body unread", httpka.ClientConfig{}, with(long, long), httpka.Bounds{Read: 4}, false,
			[]httpka.Reason{httpka.FirstRequest, httpka.BodyUnread, httpka.BodyUnread}},
		{"body read to its end", httpka.ClientConfig{}, with(long, long), httpka.Bounds{Read: 10}, false,
			[]httpka.Reason{httpka.FirstRequest, httpka.WasReused}},
		{"pool timeout", httpka.ClientConfig{PoolIdle: 20 * time.Millisecond}, keep, httpka.Bounds{}, true,
			[]httpka.Reason{httpka.FirstRequest, httpka.PoolTimeout, httpka.PoolTimeout}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			url := script(t, test.serve)
			c := newClient(t, test.cfg, newRecorder())
			defer c.Close()
			for i, want := range test.want {
				x := exchange(t, c, url, test.bounds)
				if x.Err != nil {
					t.Fatal(x.Err)
				}
				if x.Why.Reason != want || x.Reused != (want == httpka.WasReused) {
					t.Errorf("request %d: %v (%+v), want %v", i+1, x.Why.Reason, x.Why, want)
				}
				if (x.Why.Conn > 0) != (want != httpka.WasReused && want != httpka.FirstRequest) {
					t.Errorf("request %d: about #%d", i+1, x.Why.Conn)
				}
				if x.Reused == (x.Saved == 0) || x.Reused == (x.Connect > 0) {
					t.Errorf("request %d: reused %t, connect %v, saved %v", i+1, x.Reused, x.Connect, x.Saved)
				}
				if test.gone {
					waitClosed(t, c)
				}
			}
		})
	}
}

// As many requests as on a connection before is said, for a limit that the
// server does not announce.
func TestSameNumberOfRequests(t *testing.T) {
	t.Parallel()
	url := script(t, func(_ int, c *net.TCPConn, next func() *http.Request) {
		for _, head := range []string{noContent, noContent, noContentClose} {
			if next() == nil {
				return
			}
			answer(c, head)
		}
	})
	c := newClient(t, httpka.ClientConfig{}, newRecorder())
	var got []string
	for range 7 {
		if x := exchange(t, c, url, httpka.Bounds{}); x.Err == nil && !x.Reused {
			got = append(got, fmt.Sprintf("%v #%d %d as #%d", x.Why.Reason, x.Why.Conn, x.Why.Requests, x.Why.As))
		}
	}
	want := []string{"first #0 0 as #0", "server-close #1 3 as #0", "server-close #2 3 as #1"}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

// A request that meets the server's close is sent again, and the reason is the
// close.
func TestCrossedReason(t *testing.T) {
	for _, how := range []httpka.CloseWith{httpka.FIN, httpka.RST} {
		t.Run(string(how), func(t *testing.T) {
			t.Parallel()
			l := listen(t)
			go answerOnce(t, l, how)
			c := newClient(t, httpka.ClientConfig{}, newRecorder())
			url := "http://" + l.Addr().String() + "/"
			exchange(t, c, url, httpka.Bounds{})
			x := exchange(t, c, url, httpka.Bounds{})
			want := httpka.ServerFIN
			if how == httpka.RST {
				want = httpka.ServerRST
			}
			if x.Err != nil || !x.Retried || x.Why.Reason != want || !x.Why.Crossed || x.Why.Conn != 1 || x.Why.Requests != 1 {
				t.Errorf("%+v", x)
			}
		})
	}
}

// A response that nobody asked for ends the connection, and is no other's: a 408
// on an idle one, or a server that speaks first.
func TestUnsolicited(t *testing.T) {
	t.Parallel()
	const late = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"
	url := script(t, func(_ int, c *net.TCPConn, next func() *http.Request) {
		if next() != nil {
			answer(c, noContent)
			answer(c, late)
			next()
		}
	})
	c := newClient(t, httpka.ClientConfig{}, newRecorder())
	exchange(t, c, url, httpka.Bounds{})
	waitClosed(t, c)
	x := exchange(t, c, url, httpka.Bounds{})
	if x.Err != nil || x.Status != 204 || x.Why.Reason != httpka.NotPersistent || x.Why.Because != httpka.WhyUnsolicited || x.Why.Conn != 1 {
		t.Errorf("%+v", x)
	}
}

// Of three at a time the pool keeps one.
func TestPoolFullReason(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	together := sync.NewCond(&mu)
	arrived := 0
	url := script(t, func(_ int, c *net.TCPConn, next func() *http.Request) {
		for next() != nil {
			mu.Lock()
			arrived++
			round := (arrived + 2) / 3 * 3
			together.Broadcast()
			for arrived < round {
				together.Wait()
			}
			mu.Unlock()
			answer(c, noContent)
		}
	})
	c := newClient(t, httpka.ClientConfig{PoolSize: 1}, newRecorder())
	for _, want := range [][]httpka.Reason{
		{httpka.FirstRequest, httpka.AllBusy, httpka.AllBusy},
		{httpka.WasReused, httpka.PoolFull, httpka.PoolFull},
	} {
		got := make([]httpka.Reason, 3)
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() { got[i] = exchange(t, c, url, httpka.Bounds{}).Why.Reason })
		}
		all.Wait()
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// After a failure the next request has a new connection, and the failure is why.
func TestAfterFailure(t *testing.T) {
	t.Parallel()
	url := script(t, func(n int, c *net.TCPConn, next func() *http.Request) {
		if next() != nil && n == 1 {
			answer(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
			return
		}
		answer(c, noContent)
	})
	c := newClient(t, httpka.ClientConfig{}, newRecorder())
	if x := exchange(t, c, url, httpka.Bounds{}); !errors.Is(x.Err, io.ErrUnexpectedEOF) || x.Body != 4 || x.Status != 200 || x.Reuse.Why != httpka.WhyCut {
		t.Errorf("%+v", x)
	}
	if x := exchange(t, c, url, httpka.Bounds{}); x.Err != nil || x.Why.Reason != httpka.Failed || x.Why.Conn != 1 {
		t.Errorf("%+v", x)
	}
}

// What is waited for is said.
func TestWaitError(t *testing.T) {
	silent := func(_ int, c *net.TCPConn, _ func() *http.Request) { _, _ = io.Copy(io.Discard, c) }
	for _, test := range []struct {
		name, scheme string
		serve        func(int, *net.TCPConn, func() *http.Request)
		want         string
	}{
		{"silent", "http", silent, "no response within 50ms"},
		{"silent before TLS", "https", silent, "no end of the TLS handshake within 50ms"},
		{"endless", "http", func(_ int, c *net.TCPConn, next func() *http.Request) {
			if next() != nil {
				answer(c, "HTTP/1.1 200 OK\r\n\r\nsome")
				next()
			}
		}, "no end of the body within 50ms: 4 bytes of it came"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			url := script(t, test.serve)
			c := newClient(t, httpka.ClientConfig{}, newRecorder())
			x := exchange(t, c, test.scheme+strings.TrimPrefix(url, "http"), httpka.Bounds{Timeout: 50 * time.Millisecond})
			if x.Err == nil || x.Err.Error() != test.want || !errors.As(x.Err, new(*httpka.WaitError)) || !errors.Is(x.Err, context.DeadlineExceeded) {
				t.Errorf("%v (%+v), want %q", x.Err, x, test.want)
			}
		})
	}
}

// Over TLS the messages are seen too, and the handshake is measured apart.
func TestExchangeTLS(t *testing.T) {
	t.Parallel()
	addr, trust := secure(t, httpka.ServerConfig{MaxRequests: 2, Announce: true})
	var heads []string
	var mu sync.Mutex
	c := newClient(t, httpka.ClientConfig{TLS: trust, OnHead: func(conn int, fromServer bool, head []byte) {
		mu.Lock()
		defer mu.Unlock()
		line, _, _ := strings.Cut(string(head), "\r\n")
		heads = append(heads, fmt.Sprint(conn, fromServer, line, strings.HasSuffix(string(head), "\r\n\r\n")))
	}}, newRecorder())
	var got []httpka.Reason
	for range 3 {
		x := exchange(t, c, "https://"+addr+"/bytes?n=200000", httpka.Bounds{})
		if x.Err != nil {
			t.Fatal(x.Err)
		}
		if x.Reused == (x.TLS > 0) || x.Body != 200000 || x.Got.Version != "HTTP/1.1" {
			t.Errorf("%+v", x)
		}
		got = append(got, x.Why.Reason)
	}
	if want := []httpka.Reason{httpka.FirstRequest, httpka.WasReused, httpka.MaxRequests}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	mu.Lock()
	defer mu.Unlock()
	var want []string
	for _, conn := range []int{1, 1, 2} {
		want = append(want, fmt.Sprint(conn, false, "GET /bytes?n=200000 HTTP/1.1", true), fmt.Sprint(conn, true, "HTTP/1.1 200 OK", true))
	}
	if !slices.Equal(heads, want) {
		t.Errorf("heads %q\nwant  %q", heads, want)
	}
}

// A server that cannot be talked to is a clear error.
func TestNotForUs(t *testing.T) {
	t.Parallel()
	addr, _ := secure(t, httpka.ServerConfig{})
	c := newClient(t, httpka.ClientConfig{}, newRecorder())
	if x := exchange(t, c, "https://"+addr+"/", httpka.Bounds{}); !errors.As(x.Err, new(x509.UnknownAuthorityError)) {
		t.Errorf("unknown certificate: %v", x.Err)
	}
	cert, err := httpka.SelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"spdy/3"}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			_ = conn.(*tls.Conn).HandshakeContext(context.Background())
			conn.Close()
		}
	}()
	if x := exchange(t, c, "https://"+l.Addr().String()+"/", httpka.Bounds{}); !errors.Is(x.Err, httpka.ErrNotHTTP) {
		t.Errorf("no HTTP/1.1 over TLS: %v", x.Err)
	}
	const settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	first := script(t, func(_ int, c *net.TCPConn, next func() *http.Request) { answer(c, settings); next() })
	if x := exchange(t, c, first, httpka.Bounds{}); !errors.Is(x.Err, httpka.ErrHTTP2) {
		t.Errorf("h2 that speaks first: %v", x.Err)
	}
	then := script(t, func(_ int, c *net.TCPConn, next func() *http.Request) { next(); answer(c, settings) })
	if x := exchange(t, c, then, httpka.Bounds{}); !errors.Is(x.Err, httpka.ErrHTTP2) {
		t.Errorf("h2 that answers: %v", x.Err)
	}
}
