package httpka_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"kax/httpka"
)

const keepRequest = "GET /keep HTTP/1.1\r\nHost: test\r\n\r\n"

func TestResponses(t *testing.T) {
	big := strings.Repeat("x", 1<<20) // more than net/http reads of its own accord
	for _, test := range []struct {
		name, request      string
		status             int
		version            string
		connection, reason string // reason: why the server closes, empty if it does not
	}{
		{"keep", keepRequest, 200, "HTTP/1.1", "", ""},
		{"index", "GET / HTTP/1.1\r\nHost: test\r\n\r\n", 200, "HTTP/1.1", "", ""},
		{"HEAD", "HEAD /keep HTTP/1.1\r\nHost: test\r\n\r\n", 200, "HTTP/1.1", "", ""},
		{"POST", "POST /keep HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc", 200, "HTTP/1.1", "", ""},
		{"large POST", fmt.Sprintf("POST /keep HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", len(big), big), 200, "HTTP/1.1", "", ""},
		{"unknown path", "GET /nowhere HTTP/1.1\r\nHost: test\r\n\r\n", 404, "HTTP/1.1", "", ""},
		{"wrong method", "DELETE / HTTP/1.1\r\nHost: test\r\n\r\n", 405, "HTTP/1.1", "", ""},
		{"close", "GET /close HTTP/1.1\r\nHost: test\r\n\r\n", 200, "HTTP/1.1", "close", "said Connection: close"},
		{"the client says close", "GET /keep HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", 200, "HTTP/1.1", "close", "said Connection: close"},
		{"HTTP/1.0", "GET /keep HTTP/1.0\r\n\r\n", 200, "HTTP/1.0", "", "HTTP/1.0 without keep-alive"},
		{"HTTP/1.0 keep-alive", "GET /keep HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "HTTP/1.0", "keep-alive", ""},
		{"HTTP/1.0 close", "GET /close HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "HTTP/1.0", "close", "said Connection: close"},
		{"malformed", "GET /keep HTTP/1.1\r\nno colon\r\n\r\n", 400, "HTTP/1.1", "close", "said Connection: close"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rec := newRecorder()
			_, addr := serve(t, httpka.ServerConfig{OnEvent: rec.tell})
			c := dialRaw(t, addr)
			c.send(test.request)
			method, rest, _ := strings.Cut(test.request, " ")
			target, _, _ := strings.Cut(rest, " ")
			resp := c.response(method)
			e := rec.wait(t, httpka.Response, 1)
			if test.status == http.StatusBadRequest { // no request could be read
				method, target = "", ""
			}
			want := httpka.Event{
				Kind: httpka.Response, FromServer: true, Method: method, Target: target,
				Status: test.status, Version: test.version, Connection: test.connection, Nth: 1, Conn: 1,
				Time: e.Time, Client: e.Client, Server: e.Server,
			}
			if e != want {
				t.Errorf("told %+v\nwant %+v", e, want)
			}
			if e.Client.String() != c.LocalAddr().String() || e.Server.String() != addr {
				t.Errorf("told of %v and %v, want %v and %v", e.Client, e.Server, c.LocalAddr(), addr)
			}
			if resp.StatusCode != test.status || resp.Proto != test.version {
				t.Errorf("received %s %d, want what was told", resp.Proto, resp.StatusCode)
			}
			// http.ReadResponse hides the header that it understands.
			if said := "\r\nConnection: " + test.connection; strings.Contains(c.seen.String(), said) != (test.connection != "") {
				t.Errorf("received %q, told Connection %q", c.seen.String(), test.connection)
			}
			if test.reason == "" { // another one may follow
				c.send(test.request)
				c.response(method)
				if e := rec.wait(t, httpka.Response, 2); e.Nth != 2 || !e.Reused {
					t.Errorf("second response: Nth %d, reused %t", e.Nth, e.Reused)
				}
				c.Close()
				test.reason = "the client closed"
			} else if err := c.end(); err != nil {
				t.Errorf("after the response: %v, want EOF", err)
			}
			if e := rec.wait(t, httpka.Closed, 1); e.Reason != test.reason {
				t.Errorf("closed: %q, want %q", e.Reason, test.reason)
			}
			if n := len(rec.of(httpka.IdleClose)); n != 0 {
				t.Errorf("%d idle closes without a timeout", n)
			}
		})
	}
}

func TestCloseWithRST(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	_, addr := serve(t, httpka.ServerConfig{CloseWith: httpka.RST, OnEvent: rec.tell})
	c := dialRaw(t, addr)
	c.send(keepRequest)
	c.response("GET")
	c.send("GET /close HTTP/1.1\r\nHost: test\r\n\r\n")
	if resp := c.response("GET"); resp.StatusCode != http.StatusOK || !resp.Close {
		t.Errorf("status %d, close %t: the response should come before the reset", resp.StatusCode, resp.Close)
	}
	if err := c.end(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after the response: %v, want ECONNRESET", err)
	}
	if e := rec.wait(t, httpka.Closed, 1); e.Reason != "said Connection: close" || e.Nth != 2 {
		t.Errorf("closed: %q after %d responses", e.Reason, e.Nth)
	}
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	_, addr := serve(t, httpka.ServerConfig{OnEvent: rec.tell})
	c := dialRaw(t, addr)
	c.send("POST /keep HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	if resp := c.response("POST"); resp.StatusCode != http.StatusContinue {
		t.Fatalf("status %d, want 100", resp.StatusCode)
	}
	c.send("abc")
	if resp := c.response("POST"); resp.StatusCode != http.StatusOK || resp.Close {
		t.Errorf("status %d, close %t", resp.StatusCode, resp.Close)
	}
	interim, final := rec.wait(t, httpka.Interim, 1), rec.wait(t, httpka.Response, 1)
	if interim.Status != 100 || interim.Method != "POST" || interim.Target != "/keep" || interim.Nth != 0 {
		t.Errorf("interim: %+v", interim)
	}
	if final.Status != 200 || final.Nth != 1 || final.Reused {
		t.Errorf("response: %+v", final)
	}
}

func TestPipelined(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	_, addr := serve(t, httpka.ServerConfig{OnEvent: rec.tell})
	c := dialRaw(t, addr)
	c.send(keepRequest + "GET /nowhere HTTP/1.1\r\nHost: test\r\n\r\n" + "GET /close HTTP/1.1\r\nHost: test\r\n\r\n")
	for i, want := range []struct {
		target string
		status int
	}{{"/keep", 200}, {"/nowhere", 404}, {"/close", 200}} {
		resp := c.response("GET")
		e := rec.wait(t, httpka.Response, i+1)
		if resp.StatusCode != want.status || e.Status != want.status || e.Target != want.target || e.Nth != i+1 {
			t.Errorf("response %d: received %d, told %+v", i+1, resp.StatusCode, e)
		}
	}
	if err := c.end(); err != nil {
		t.Error(err)
	}
}

// What is sent is told before it can be seen.
func TestToldBeforeSent(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	var c *raw
	read := make(chan struct{}) // closed when the response has been read
	_, addr := serve(t, httpka.ServerConfig{OnEvent: func(e httpka.Event) {
		switch e.Kind {
		case httpka.Response:
			if !quiet(c.Conn) {
				t.Error("the response was there before it was told")
			}
		case httpka.Closed:
			<-read
			if !quiet(c.Conn) {
				t.Error("the FIN was there before it was told")
			}
		}
		rec.tell(e)
	}})
	c = dialRaw(t, addr)
	c.send("GET /close HTTP/1.1\r\nHost: test\r\n\r\n")
	rec.wait(t, httpka.Response, 1)
	c.response("GET")
	close(read)
	rec.wait(t, httpka.Closed, 1)
	if err := c.end(); err != nil {
		t.Error(err)
	}
}
