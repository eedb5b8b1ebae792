package httpka_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kax/httpka"
)

// What package net/http does with connections, and what its documentation
// says little of. These tests hold for Go 1.26: one that fails tells that a
// sentence in kax's own documentation is no longer true.

// standard serves with net/http alone and tells how many connections close.
func standard(t *testing.T, h http.HandlerFunc) (url string, closed <-chan struct{}) {
	ended := make(chan struct{}, 100)
	addr := standardServer(t, &http.Server{Handler: h, ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			ended <- struct{}{}
		}
	}})
	return "http://" + addr + "/", ended
}

func standardServer(t *testing.T, s *http.Server) (addr string) {
	l := listen(t)
	go s.Serve(l) //nolint:errcheck // ends with the test
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
}

func do(t *testing.T, c *httpka.Client, url string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// A connection whose response was not read to the end is closed.
func TestUnreadBodyNotReused(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 1 << 20} {
		url, closed := standard(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", size))
		})
		rec := newRecorder()
		c := newClient(t, httpka.ClientConfig{}, rec)
		for range 2 {
			do(t, c, url).Body.Close()
			await(t, "the connection to close", closed)
		}
		if e := rec.of(httpka.Request)[1]; e.Reused {
			t.Errorf("body of %d bytes: the connection is reused", size)
		}
	}
}

// One that is neither read nor closed holds its connection.
func TestLeakedBodyNotReused(t *testing.T) {
	t.Parallel()
	url, _ := standard(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "leaked") })
	rec := newRecorder()
	c := newClient(t, httpka.ClientConfig{}, rec)
	for range 2 {
		resp := do(t, c, url)
		defer resp.Body.Close()
	}
	if e := rec.of(httpka.Request)[1]; e.Reused {
		t.Error("the connection is reused")
	}
}

// A 204 has no body to read.
func TestNoContentReused(t *testing.T) {
	t.Parallel()
	url, _ := standard(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	rec := newRecorder()
	c := newClient(t, httpka.ClientConfig{}, rec)
	for range 2 {
		_ = do(t, c, url) // neither read nor closed
	}
	if e := rec.of(httpka.Request)[1]; !e.Reused {
		t.Error("the connection is not reused")
	}
}

// The client pays no heed to what the server announces.
func TestKeepAliveHeaderIgnored(t *testing.T) {
	t.Parallel()
	url, _ := standard(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Keep-Alive", "timeout=0, max=1")
	})
	rec := newRecorder()
	c := newClient(t, httpka.ClientConfig{}, rec)
	for range 3 {
		get(t, c, url)
	}
	if e := rec.of(httpka.Request)[2]; !e.Reused || e.Nth != 3 {
		t.Errorf("after max=1 request %d went out, reused %t", e.Nth, e.Reused)
	}
}

// Of several connections to one host two stay, MaxIdleConnsPerHost's default.
func TestTwoIdleConnections(t *testing.T) {
	t.Parallel()
	const n = 5
	var all sync.WaitGroup
	all.Add(n)
	url, closed := standard(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/together" { // so that each needs a connection
			all.Done()
			all.Wait()
		}
		fmt.Fprint(w, "done")
	})
	rec := newRecorder()
	c := newClient(t, httpka.ClientConfig{}, rec)
	together := func(n int, path string) {
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				if _, err := c.Get(t.Context(), url+path); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	together(n, "together")
	for range n - 2 {
		await(t, "a connection too many to close", closed)
	}
	all.Add(3)
	together(3, "together")
	reused := 0
	for _, e := range rec.of(httpka.Request)[n:] {
		if e.Reused {
			reused++
		}
	}
	if reused != 2 {
		t.Errorf("%d of %d connections stayed open, want 2", reused, n)
	}
}

// Reading a part of a body is no better than reading nothing of it.
func TestPartialReadNotReused(t *testing.T) {
	t.Parallel()
	url, closed := standard(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 100))
	})
	rec := newRecorder()
	c := newClient(t, httpka.ClientConfig{}, rec)
	for range 2 {
		resp := do(t, c, url)
		if _, err := io.CopyN(io.Discard, resp.Body, 100); err != nil { // all of it, but not its end
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if e := rec.of(httpka.Request)[1]; !e.Reused {
		t.Error("all bytes of a known length were read, and the connection is not reused")
	}
	for range 2 {
		resp := do(t, c, url)
		if _, err := io.CopyN(io.Discard, resp.Body, 99); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		await(t, "the connection to close", closed)
	}
	if e := rec.of(httpka.Request)[3]; e.Reused {
		t.Error("a byte was left, and the connection is reused")
	}
}

// A POST that meets the server's close is lost, unless it says that sending it
// twice does no harm.
func TestIdempotencyKeyRetried(t *testing.T) {
	t.Parallel()
	l := listen(t)
	go answerOnce(t, l, httpka.FIN)
	c := newClient(t, httpka.ClientConfig{}, newRecorder())
	url := "http://" + l.Addr().String() + "/"
	for _, key := range []string{"", "once"} {
		if _, err := c.Get(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("abc"))
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			req.Header.Set("Idempotency-Key", key)
		}
		x := c.Exchange(req, httpka.Bounds{})
		if (x.Err == nil) != (key != "") || x.Retried != (key != "") {
			t.Errorf("with the key %q: retried %t, %v", key, x.Retried, x.Err)
		}
	}
}

// HTTP/1.0 is reused only where the server agrees to it in so many words.
func TestOldVersionReused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		head   string
		reused bool
	}{
		{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", true},
	} {
		url := script(t, func(_ int, c *net.TCPConn, next func() *http.Request) {
			for next() != nil {
				answer(c, test.head)
			}
		})
		rec := newRecorder()
		c := newClient(t, httpka.ClientConfig{}, rec)
		get(t, c, url)
		get(t, c, url)
		if e := rec.of(httpka.Request)[1]; e.Reused != test.reused {
			t.Errorf("%q: reused %t", test.head, e.Reused)
		}
		c.Close()
	}
}

// The server agrees to keep a connection of HTTP/1.0 if it was asked to.
func TestOldVersionEchoed(t *testing.T) {
	t.Parallel()
	addr := standardServer(t, &http.Server{Handler: http.NotFoundHandler()})
	for asked, said := range map[string]string{"": "", "Connection: keep-alive\r\n": "keep-alive"} {
		c := dialRaw(t, addr)
		c.send("GET / HTTP/1.0\r\n" + asked + "\r\n")
		if resp := c.response("GET"); resp.Header.Get("Connection") != said || resp.Close != (said == "") {
			t.Errorf("asked %q, and it says %q, close %t", asked, resp.Header.Get("Connection"), resp.Close)
		}
	}
}

// A close that has come before the next request costs a connection and nothing
// else, whatever the method.
func TestClosedBeforeRequest(t *testing.T) {
	t.Parallel()
	url := script(t, func(_ int, c *net.TCPConn, next func() *http.Request) {
		if next() != nil {
			answer(c, noContent)
		}
	})
	rec := newRecorder()
	c := newClient(t, httpka.ClientConfig{}, rec)
	for i, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if x := c.Exchange(req, httpka.Bounds{}); x.Err != nil || x.Retried || x.Reused || x.Conn != i+1 {
			t.Errorf("%s: %+v", method, x)
		}
		waitClosed(t, c)
	}
}
