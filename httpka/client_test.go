package httpka_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"kax/httpka"
)

func TestClientReuses(t *testing.T) {
	t.Parallel()
	srv, rec := newRecorder(), newRecorder()
	_, addr := serve(t, httpka.ServerConfig{OnEvent: srv.tell})
	c := newClient(t, httpka.ClientConfig{}, rec)
	for range 3 {
		get(t, c, "http://"+addr+"/keep")
	}
	first := rec.of(httpka.Request)[0]
	for i, e := range rec.of(httpka.Request) {
		want := httpka.Event{
			Kind: httpka.Request, Method: "GET", Target: "/keep", Version: "HTTP/1.1",
			Nth: i + 1, Reused: i > 0,
			Time: e.Time, Idle: e.Idle, Client: first.Client, Server: netip.MustParseAddrPort(addr),
		}
		if e != want {
			t.Errorf("request %d: told %+v\nwant %+v", i+1, e, want)
		}
		if (e.Idle > 0) != e.Reused {
			t.Errorf("request %d: reused %t after %v", i+1, e.Reused, e.Idle)
		}
	}
	if n := len(srv.of(httpka.Opened)); n != 1 {
		t.Errorf("%d connections at the server, want 1", n)
	}
	if e := srv.of(httpka.Response)[2]; e.Client != first.Client || e.Nth != 3 || !e.Reused || e.Connection != "" || e.KeepAlive != "" {
		t.Errorf("third response: %+v", e)
	}
	c.Close()
	waitClosed(t, c)
	if e := srv.wait(t, httpka.Closed, 1); e.Reason != "the client closed" {
		t.Errorf("closed: %q", e.Reason)
	}
}

func TestClientWithoutReuse(t *testing.T) {
	for _, test := range []struct {
		name, path string
		noReuse    bool
		said       string // by the client
	}{
		{"the server closes", "/close", false, ""},
		{"the client closes", "/keep", true, "close"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv, rec := newRecorder(), newRecorder()
			_, addr := serve(t, httpka.ServerConfig{OnEvent: srv.tell})
			c := newClient(t, httpka.ClientConfig{NoReuse: test.noReuse}, rec)
			ports := map[netip.AddrPort]bool{}
			for i := range 3 {
				get(t, c, "http://"+addr+test.path)
				e := rec.of(httpka.Request)[i]
				if e.Reused || e.Nth != 1 || e.Idle != 0 || e.Connection != test.said {
					t.Errorf("request %d: %+v", i+1, e)
				}
				if r := srv.of(httpka.Response)[i]; r.Connection != "close" || r.Nth != 1 || r.Reused || r.Client != e.Client {
					t.Errorf("response %d: %+v", i+1, r)
				}
				ports[e.Client] = true
				waitClosed(t, c)
			}
			if len(ports) != 3 {
				t.Errorf("3 requests used %d connections", len(ports))
			}
		})
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	srv, addr := serve(t, httpka.ServerConfig{})
	c := httpka.NewClient(httpka.ClientConfig{})
	for name, wait := range map[string]func(context.Context) error{"client": c.Wait, "server": srv.Wait} {
		if err := wait(t.Context()); err != nil {
			t.Errorf("%s without connections: %v", name, err)
		}
		get(t, c, "http://"+addr+"/keep")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- wait(ctx) }()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a connection open: %v, want %v", name, err, context.Canceled)
		}
		go func() { done <- wait(t.Context()) }()
		c.Close()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
		waitClosed(t, c)
		if err := srv.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A server that takes the second request of a connection and closes leaves the
// client to guess whether it was handled.
func TestClosedOnReceipt(t *testing.T) {
	for _, test := range []struct {
		method string
		retry  bool
	}{
		{"GET", true}, {"HEAD", true}, {"OPTIONS", true}, {"TRACE", true},
		{"POST", false}, {"PUT", false}, {"PATCH", false}, {"DELETE", false},
	} {
		for _, how := range []httpka.CloseWith{httpka.FIN, httpka.RST} {
			t.Run(test.method+" "+string(how), func(t *testing.T) {
				t.Parallel()
				l := listen(t)
				go answerOnce(t, l, how)
				rec := newRecorder()
				c := newClient(t, httpka.ClientConfig{}, rec)
				url := "http://" + l.Addr().String()
				if status, err := c.Get(t.Context(), url+"/first"); err != nil || status != http.StatusNoContent {
					t.Fatal(status, err)
				}
				body := io.Reader(nil)
				if test.method[0] == 'P' {
					body = strings.NewReader("abc")
				}
				req, err := http.NewRequestWithContext(t.Context(), test.method, url+"/second", body)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := c.Do(req)
				if err == nil {
					resp.Body.Close()
				}
				if (err == nil) != test.retry {
					t.Errorf("%s: %v", test.method, err)
				}
				want := []httpka.Kind{httpka.Request, httpka.Request, httpka.Error}
				if test.retry {
					want = []httpka.Kind{httpka.Request, httpka.Request, httpka.Retry, httpka.Request}
				}
				if got := rec.kinds(); !slices.Equal(got, want) {
					t.Fatalf("told %v, want %v", got, want)
				}
				rec.mu.Lock()
				defer rec.mu.Unlock()
				lost, last := rec.events[1], rec.events[2]
				if !lost.Reused || lost.Nth != 2 || lost.Method != test.method || lost.Target != "/second" {
					t.Errorf("lost request: %+v", lost)
				}
				if last.Method != test.method || last.Target != "/second" {
					t.Errorf("then: %+v", last)
				}
				if test.retry {
					again := rec.events[3]
					if again.Client != last.Client || again.Client == lost.Client || again.Reused || again.Nth != 1 {
						t.Errorf("retried on %v, sent on %v after %v: %+v", last.Client, again.Client, lost.Client, again)
					}
				} else if last.Err != err || last.Client != lost.Client {
					t.Errorf("told of %v on %v, want %v on %v", last.Err, last.Client, err, lost.Client)
				}
			})
		}
	}
}

// answerOnce answers one request a connection, and closes upon the next.
func answerOnce(t *testing.T, l net.Listener, how httpka.CloseWith) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		r := bufio.NewReader(c)
		for i := range 2 {
			req, err := http.ReadRequest(r)
			if err != nil {
				break // the client has closed
			}
			_, _ = io.Copy(io.Discard, req.Body)
			if i == 0 {
				_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
			}
		}
		if how == httpka.RST {
			reset(t, c)
			continue
		}
		c.Close()
	}
}

func reset(t *testing.T, c net.Conn) {
	if err := c.(*net.TCPConn).SetLinger(0); err != nil {
		t.Error(err)
	}
	c.Close()
}

// A request that reaches nobody has no connection to be told of.
func TestRefused(t *testing.T) {
	t.Parallel()
	l := listen(t)
	l.Close()
	rec := newRecorder()
	c := newClient(t, httpka.ClientConfig{}, rec)
	if _, err := c.Get(t.Context(), "http://"+l.Addr().String()+"/"); err == nil {
		t.Error("a request to a closed port succeeds")
	}
	if got := rec.kinds(); len(got) != 0 {
		t.Errorf("told %v", got)
	}
	waitClosed(t, c)
}

// A response that breaks off is an error, and never retried.
func TestBrokenResponse(t *testing.T) {
	t.Parallel()
	l := listen(t)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = http.ReadRequest(bufio.NewReader(c))
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
		c.Close()
	}()
	rec := newRecorder()
	c := newClient(t, httpka.ClientConfig{}, rec)
	_, err := c.Get(t.Context(), "http://"+l.Addr().String()+"/")
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v, want %v", err, io.ErrUnexpectedEOF)
	}
	if e := rec.wait(t, httpka.Error, 1); e.Err != err || e.Method != "GET" || e.Target != "/" {
		t.Errorf("told %+v", e)
	}
	if want := []httpka.Kind{httpka.Request, httpka.Error}; !slices.Equal(rec.kinds(), want) {
		t.Errorf("told %v, want %v", rec.kinds(), want)
	}
}

// The head of a long request goes out in several writes; it is one request.
func TestLongTarget(t *testing.T) {
	t.Parallel()
	srv, rec := newRecorder(), newRecorder()
	_, addr := serve(t, httpka.ServerConfig{OnEvent: srv.tell})
	c := newClient(t, httpka.ClientConfig{}, rec)
	target := "/keep?" + strings.Repeat("x", 20_000)
	for range 2 {
		get(t, c, "http://"+addr+target)
	}
	requests := rec.of(httpka.Request)
	if len(requests) != 2 {
		t.Fatalf("%d requests told, want 2", len(requests))
	}
	if e := requests[1]; e.Method != "GET" || e.Target != target || !e.Reused {
		t.Errorf("told %s, target of %d bytes, reused %t", e.Method, len(e.Target), e.Reused)
	}
	if e := srv.of(httpka.Response)[1]; e.Target != target {
		t.Errorf("answered a target of %d bytes", len(e.Target))
	}
}

// A request is told before the server can see it.
func TestRequestToldBeforeSent(t *testing.T) {
	t.Parallel()
	l := listen(t)
	accepted := make(chan net.Conn, 1)
	go func() {
		if c, err := l.Accept(); err == nil {
			accepted <- c
		}
	}()
	c := httpka.NewClient(httpka.ClientConfig{OnEvent: func(e httpka.Event) {
		if e.Kind != httpka.Request {
			return
		}
		conn := <-accepted
		if !quiet(conn) {
			t.Error("the request was there before it was told")
		}
		go func() {
			defer conn.Close()
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			fmt.Fprint(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		}()
	}})
	t.Cleanup(c.Close)
	if _, err := c.Get(t.Context(), "http://"+l.Addr().String()+"/"); err != nil {
		t.Error(err)
	}
}

// Shutdown waits for no one beyond its context, and leaves nothing open.
func TestShutdownEnds(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	s, addr := serve(t, httpka.ServerConfig{OnEvent: rec.tell})
	c := dialRaw(t, addr)
	c.send("POST /keep HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
	rec.wait(t, httpka.Interim, 1) // by now it is being served
	c.response("POST")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v, want %v", err, context.DeadlineExceeded)
	}
	if err := c.end(); err != nil {
		t.Error(err)
	}
	if e := rec.wait(t, httpka.Closed, 1); e.Reason != "the server stops" {
		t.Errorf("closed: %q", e.Reason)
	}
}
