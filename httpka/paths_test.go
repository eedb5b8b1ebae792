package httpka_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"kax/httpka"
)

// body asks for a path and returns the response with its body.
func (r *raw) body(request string) (*http.Response, string) {
	r.t.Helper()
	r.send(request)
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(r.r, &http.Request{Method: method})
	if err != nil {
		r.t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(b)
}

func get1(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n" }

func TestBytes(t *testing.T) {
	for _, test := range []struct {
		query   string
		length  int64 // Content-Length; -1 is none
		n       int
		chunked bool
	}{
		{"", 1000, 1000, false},
		{"?n=0", 0, 0, false},
		{"?n=65537", 65537, 65537, false},
		{"?n=5&chunked=0", 5, 5, false},
		{"?n=0&chunked=1", -1, 0, true},
		{"?n=10&chunked=1", -1, 10, true},
		{"?n=100000&chunked=1", -1, 100000, true},
	} {
		t.Run(test.query, func(t *testing.T) {
			t.Parallel()
			_, addr := serve(t, httpka.ServerConfig{})
			c := dialRaw(t, addr)
			for range 2 { // the first leaves the connection in order
				resp, body := c.body(get1("/bytes" + test.query))
				if resp.StatusCode != 200 || len(body) != test.n || resp.ContentLength != test.length {
					t.Errorf("status %d, %d bytes, Content-Length %d", resp.StatusCode, len(body), resp.ContentLength)
				}
				if chunked := len(resp.TransferEncoding) > 0; chunked != test.chunked {
					t.Errorf("chunked: %t", chunked)
				}
			}
		})
	}
}

// A client of HTTP/1.0 knows no chunks: the end of the connection is the body's.
func TestChunkedToHTTP10(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	_, addr := serve(t, httpka.ServerConfig{OnEvent: rec.tell})
	resp, body := dialRaw(t, addr).body("GET /bytes?n=5000&chunked=1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	if len(body) != 5000 || resp.TransferEncoding != nil || !resp.Close {
		t.Errorf("%d bytes, %v, close %t", len(body), resp.TransferEncoding, resp.Close)
	}
	if e := rec.wait(t, httpka.Closed, 1); e.Reason != "HTTP/1.0 without keep-alive" {
		t.Errorf("closed: %q", e.Reason)
	}
}

// What cannot be served is refused in one line that says why.
func TestRefusals(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, httpka.ServerConfig{})
	c := dialRaw(t, addr)
	for _, test := range []struct {
		request string
		status  int
		says    string
	}{
		{"GET /bytes?n=-1", 400, `n="-1": must be a number of bytes from 0 to 1073741824`},
		{"GET /bytes?n=1073741825", 400, "from 0 to 1073741824"},
		{"GET /bytes?n=", 400, `n="": must be`},
		{"GET /bytes?n=%1b[2J", 400, `n="\x1b[2J"`},
		{"GET /bytes?n=1&n=2", 400, "n: given 2 times"},
		{"GET /bytes?size=1", 400, `no parameter "size" here; there is: n, chunked`},
		{"GET /bytes?n=%zz", 400, "the query cannot be read"},
		{"GET /bytes?chunked=yes", 400, "0 or 1"},
		{"GET /slow?d=soon", 400, "a duration like 1m30s, or seconds like 90"},
		{"GET /slow?d=-1s", 400, "from 0 to 10m0s"},
		{"GET /slow?d=601", 400, "from 0 to 10m0s"},
		{"GET /slow?d=", 400, "a duration"},
		{"GET /status?all=1", 400, "there is: closed"},
		{"GET /status?closed=", 400, "0 or 1"},
		{"GET /nowhere", 404, "/ says what there is"},
		{"DELETE /", 405, "GET and HEAD"},
		{"POST /status", 405, "GET and HEAD"},
	} {
		resp, body := c.body(test.request + " HTTP/1.1\r\nHost: test\r\n\r\n")
		if resp.StatusCode != test.status || !strings.Contains(body, test.says) || resp.Close {
			t.Errorf("%s: status %d, close %t: %s", test.request, resp.StatusCode, resp.Close, body)
		}
		if strings.Count(body, "\n") != 1 || !strings.HasSuffix(body, "\n") || strings.Contains(body, "\x1b") {
			t.Errorf("%s: %q is no line", test.request, body)
		}
	}
}

// The index names every path, and what it names is there.
func TestIndex(t *testing.T) {
	t.Parallel()
	_, addr := serve(t, httpka.ServerConfig{})
	_, index := dialRaw(t, addr).body(get1("/"))
	for _, path := range []string{"/keep", "/close", "/bytes?n=5000&chunked=1", "/slow?d=2s", "/rst", "/half", "/status"} {
		if !strings.Contains(index, path) {
			t.Errorf("no %s in the index", path)
		}
	}
}

func TestSlow(t *testing.T) {
	t.Parallel()
	for _, d := range []string{"300ms", "0.3"} {
		_, addr := serve(t, httpka.ServerConfig{IdleTimeout: 50 * time.Millisecond}) // has no say here
		c := dialRaw(t, addr)
		begin := time.Now()
		_, body := c.body(get1("/slow?d=" + d))
		if took := time.Since(begin); took < 300*time.Millisecond || body != "waited 300ms\n" {
			t.Errorf("d=%s: %q after %v", d, body, took)
		}
	}
}

// Nobody waits for a client that has gone, and nothing is sent to it.
func TestSlowEndsWithClient(t *testing.T) {
	for _, test := range []struct {
		name, reason string
		leave        func(*raw)
	}{
		{"fin", "the client closed", func(c *raw) { c.Close() }},
		{"rst", "the client reset it", func(c *raw) { reset(c.t, c.Conn) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rec := newRecorder()
			_, addr := serve(t, httpka.ServerConfig{OnEvent: rec.tell})
			c := dialRaw(t, addr)
			c.send("POST /slow?d=10m HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
			c.response("POST") // 100: it is being served, and nothing is left unread
			c.send("abc")
			test.leave(c)
			e := rec.wait(t, httpka.Closed, 1)
			if e.Reason != test.reason || e.Method != "POST" || e.Target != "/slow?d=10m" || e.Nth != 0 {
				t.Errorf("closed: %+v", e)
			}
			if n := len(rec.of(httpka.Response)); n != 0 {
				t.Errorf("%d responses to nobody", n)
			}
		})
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "POST"} {
		rec := newRecorder()
		_, addr := serve(t, httpka.ServerConfig{OnEvent: rec.tell})
		c := dialRaw(t, addr)
		c.send(keepRequest)
		c.response("GET")
		c.send(method + " /rst HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc")
		if err := c.end(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v, want ECONNRESET", method, err)
		}
		e := rec.wait(t, httpka.Closed, 1)
		if e.Reason != "the server reset it" || e.Nth != 1 || e.Method != method || e.Target != "/rst" {
			t.Errorf("closed: %+v", e)
		}
		if n := len(rec.of(httpka.Response)); n != 1 {
			t.Errorf("%d responses, want that of /keep", n)
		}
	}
}

func TestHalf(t *testing.T) {
	for _, test := range []struct {
		with   httpka.CloseWith
		reason string
		want   error
	}{
		{httpka.FIN, "broke off in mid-body", io.ErrUnexpectedEOF},
		{httpka.RST, "broke off in mid-body, with a reset", syscall.ECONNRESET},
	} {
		t.Run(string(test.with), func(t *testing.T) {
			t.Parallel()
			rec := newRecorder()
			_, addr := serve(t, httpka.ServerConfig{CloseWith: test.with, OnEvent: rec.tell})
			c := dialRaw(t, addr)
			if resp, _ := c.body("HEAD /half HTTP/1.1\r\nHost: test\r\n\r\n"); resp.ContentLength != 1000 || resp.Close {
				t.Errorf("HEAD: Content-Length %d, close %t", resp.ContentLength, resp.Close)
			}
			c.send("POST /half HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc")
			resp, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			if len(b) != 500 || resp.ContentLength != 1000 || resp.Close || !errors.Is(err, test.want) {
				t.Errorf("%d bytes of %d, close %t: %v, want %v", len(b), resp.ContentLength, resp.Close, err, test.want)
			}
			if e := rec.wait(t, httpka.Closed, 1); e.Reason != test.reason || e.Nth != 2 {
				t.Errorf("closed: %+v", e)
			}
		})
	}
}

// What is at the connection itself needs a Server.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	l := listen(t)
	srv := &http.Server{Handler: httpka.Handler(httpka.RST)}
	go srv.Serve(l) //nolint:errcheck // ends with the test
	t.Cleanup(func() { srv.Close() })
	c := dialRaw(t, l.Addr().String())
	for path, status := range map[string]int{
		"/rst": 501, "/half": 501, "/close": 501, "/status": 501, "/keep": 200, "/bytes": 200, "/slow?d=0": 200, "/": 200,
	} {
		if resp, body := c.body(get1(path)); resp.StatusCode != status {
			t.Errorf("%s: status %d: %s", path, resp.StatusCode, body)
		}
	}
}

// A response whose client has gone was told, and so is that it never went.
func TestResponseNotSent(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	asked, gone := make(chan struct{}), make(chan struct{})
	_, addr := serve(t, httpka.ServerConfig{OnEvent: rec.tell, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/second" {
			close(asked)
			<-r.Context().Done() // the server has seen the reset
			close(gone)
		}
		w.WriteHeader(http.StatusNoContent)
	})})
	c := dialRaw(t, addr)
	c.send(get1("/first"))
	c.response("GET")
	c.send(get1("/second"))
	<-asked
	reset(t, c.Conn)
	<-gone
	e := rec.wait(t, httpka.Error, 1)
	if !errors.Is(e.Err, syscall.EPIPE) && !errors.Is(e.Err, syscall.ECONNRESET) {
		t.Errorf("error: %v", e.Err)
	}
	if e.Method != "GET" || e.Target != "/second" || !e.FromServer || e.Conn != 1 {
		t.Errorf("told %+v", e)
	}
	if e := rec.wait(t, httpka.Closed, 1); e.Nth != 1 || e.Reason != "the client reset it" {
		t.Errorf("closed: %+v", e)
	}
}

// A head that net/http writes in pieces is told like any other, and before any
// of it is sent.
func TestLongHead(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	long := strings.Repeat("x", 20_000)
	var c *raw
	_, addr := serve(t, httpka.ServerConfig{
		Announce: true, IdleTimeout: time.Hour,
		OnEvent: func(e httpka.Event) {
			if e.Kind == httpka.Response && !quiet(c.Conn) {
				t.Error("a part of the response was there before it was told")
			}
			rec.tell(e)
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", long)
			fmt.Fprint(w, "body")
		}),
	})
	c = dialRaw(t, addr)
	for i := range 2 {
		c.send(keepRequest)
		e := rec.wait(t, httpka.Response, i+1)
		resp, body := c.body("")
		if resp.Header.Get("X-Long") != long || body != "body" || resp.Header.Get("Keep-Alive") != "timeout=3600" {
			t.Errorf("a header of %d bytes, Keep-Alive %q, body %q", len(resp.Header.Get("X-Long")), resp.Header.Get("Keep-Alive"), body)
		}
		if e.Status != 200 || e.Nth != i+1 || e.KeepAlive != "timeout=3600" {
			t.Errorf("told %+v", e)
		}
	}
}

// What is no HTTP passes a hijacked connection as it is, and untold.
func TestHijacked(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	_, addr := serve(t, httpka.ServerConfig{OnEvent: rec.tell, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HT")
		_, _ = io.WriteString(c, "TP/1.1 101 Switching\r\nConnection: upgrade\r\n\r\n")
		_, _ = io.WriteString(c, "HTTP/1.1 200 no response any more\r\n\r\n")
	})})
	c := dialRaw(t, addr)
	c.send(keepRequest)
	b, err := io.ReadAll(bufio.NewReader(c.Conn))
	if want := "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\n\r\nHTTP/1.1 200 no response any more\r\n\r\n"; err != nil || string(b) != want {
		t.Errorf("%q, %v", b, err)
	}
	if n := len(rec.of(httpka.Response)); n != 0 {
		t.Errorf("%d responses", n)
	}
	if e := rec.wait(t, httpka.Upgrade, 1); e.Status != 101 || e.Connection != "upgrade" {
		t.Errorf("told %+v", e)
	}
}
