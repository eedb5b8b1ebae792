package httpka_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kax/httpka"
)

func TestMaxRequests(t *testing.T) {
	for _, request := range []string{
		keepRequest,
		get1("/nowhere"),
		get1("/bytes?n=10&chunked=1"),
		"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n",
		"GET /keep HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	} {
		t.Run(strings.Fields(request)[1], func(t *testing.T) {
			t.Parallel()
			rec := newRecorder()
			_, addr := serve(t, httpka.ServerConfig{MaxRequests: 3, OnEvent: rec.tell})
			for conn := range 2 {
				c := dialRaw(t, addr)
				for i := range 3 {
					if resp, _ := c.body(request); resp.Close != (i == 2) {
						t.Errorf("response %d: close %t", i+1, resp.Close)
					}
				}
				if err := c.end(); err != nil {
					t.Errorf("after the last response: %v, want EOF", err)
				}
				if e := rec.wait(t, httpka.Closed, conn+1); e.Reason != "max requests" || e.Nth != 3 || e.Conn != conn+1 {
					t.Errorf("closed: %+v", e)
				}
			}
		})
	}
}

// A client that leaves before the last request is no matter of the limit.
func TestMaxRequestsNotReached(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	_, addr := serve(t, httpka.ServerConfig{MaxRequests: 2, OnEvent: rec.tell})
	c := dialRaw(t, addr)
	c.send(keepRequest)
	c.response("GET")
	c.Close()
	if e := rec.wait(t, httpka.Closed, 1); e.Reason != "the client closed" {
		t.Errorf("closed: %q", e.Reason)
	}
}

// What is announced counts down, and only where the connection stays open.
func TestAnnounce(t *testing.T) {
	const http10keep = "GET /keep HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
	for _, test := range []struct {
		name    string
		cfg     httpka.ServerConfig
		request string
		want    []string // Connection and Keep-Alive of each response
	}{
		{"both", httpka.ServerConfig{IdleTimeout: 5500 * time.Millisecond, MaxRequests: 3}, keepRequest,
			[]string{"keep-alive|timeout=5, max=2", "keep-alive|timeout=5, max=1", "close|"}},
		{"timeout", httpka.ServerConfig{IdleTimeout: time.Minute}, keepRequest, []string{"keep-alive|timeout=60", "keep-alive|timeout=60"}},
		{"max", httpka.ServerConfig{MaxRequests: 2}, keepRequest, []string{"keep-alive|max=1", "close|"}},
		{"no limit", httpka.ServerConfig{}, keepRequest, []string{"|"}},
		{"404", httpka.ServerConfig{MaxRequests: 9}, get1("/nowhere"), []string{"keep-alive|max=8"}},
		{"chunked", httpka.ServerConfig{MaxRequests: 9}, get1("/bytes?n=9&chunked=1"), []string{"keep-alive|max=8"}},
		{"close", httpka.ServerConfig{MaxRequests: 9}, get1("/close"), []string{"close|"}},
		{"the client closes", httpka.ServerConfig{MaxRequests: 9}, "GET /keep HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", []string{"close|"}},
		{"HTTP/1.0", httpka.ServerConfig{MaxRequests: 9}, "GET /keep HTTP/1.0\r\n\r\n", []string{"|"}},
		{"HTTP/1.0 keep-alive", httpka.ServerConfig{MaxRequests: 9}, http10keep, []string{"keep-alive|max=8", "keep-alive|max=7"}},
		{"malformed", httpka.ServerConfig{MaxRequests: 9}, "GET\r\n\r\n", []string{"close|"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rec := newRecorder()
			test.cfg.Announce, test.cfg.OnEvent = true, rec.tell
			_, addr := serve(t, test.cfg)
			c := dialRaw(t, addr)
			for i, want := range test.want {
				c.seen.Reset()
				resp, _ := c.body(test.request)
				e := rec.wait(t, httpka.Response, i+1)
				if got := e.Connection + "|" + e.KeepAlive; got != want {
					t.Errorf("response %d: told %q, want %q", i+1, got, want)
				}
				connection, keepAlive, _ := strings.Cut(want, "|")
				if got := resp.Header.Get("Keep-Alive"); got != keepAlive {
					t.Errorf("response %d: received %q, want %q", i+1, got, keepAlive)
				}
				if seen := c.seen.String(); connection != "" && strings.Count(seen, "\r\nConnection: "+connection+"\r\n") != 1 || strings.Count(seen, "\r\nConnection:") > 1 {
					t.Errorf("response %d: received %q", i+1, seen)
				}
			}
		})
	}
}

func TestServerOfHTTP10(t *testing.T) {
	const keepAlive = "Connection: keep-alive\r\n"
	for _, test := range []struct {
		name, target, headers string
		kept                  bool
		length                int64
		reason                string
	}{
		{"keep", "/keep", "", false, 46, "HTTP/1.0 without keep-alive"},
		{"asked to keep", "/keep", keepAlive, true, 48, "the client closed"},
		{"asked in other words", "/keep", "Connection: TE, Keep-Alive\r\n", true, 48, "the client closed"},
		{"close", "/close", "", false, 48, "HTTP/1.0 without keep-alive"},
		{"close all the same", "/close", keepAlive, false, 48, "HTTP/1.0 without keep-alive"},
		{"no chunks", "/bytes?n=9000&chunked=1", "", false, -1, "HTTP/1.0 without keep-alive"},
		{"no chunks, so not kept", "/bytes?n=9000&chunked=1", keepAlive, false, -1, "HTTP/1.0 without keep-alive"},
		{"length", "/bytes?n=9000", keepAlive, true, 9000, "the client closed"},
		{"nowhere", "/nowhere", keepAlive, true, 35, "the client closed"},
	} {
		for _, version := range []string{"HTTP/1.1", "HTTP/1.0"} {
			t.Run(test.name+" for "+version, func(t *testing.T) {
				t.Parallel()
				rec := newRecorder()
				_, addr := serve(t, httpka.ServerConfig{HTTP10: true, OnEvent: rec.tell})
				c := dialRaw(t, addr)
				resp, body := c.body("GET " + test.target + " " + version + "\r\nHost: test\r\n" + test.headers + "\r\n")
				if resp.Proto != "HTTP/1.0" || resp.ContentLength != test.length || resp.TransferEncoding != nil || resp.Close == test.kept {
					t.Errorf("%s, Content-Length %d, %v, close %t", resp.Proto, resp.ContentLength, resp.TransferEncoding, resp.Close)
				}
				if test.length < 0 && len(body) != 9000 {
					t.Errorf("%d bytes", len(body))
				}
				if test.target == "/keep" && strings.HasPrefix(body, "kept") != test.kept {
					t.Errorf("it says %q", body)
				}
				e := rec.wait(t, httpka.Response, 1)
				said := ""
				if test.kept {
					said = "keep-alive"
					c.Close()
				} else if err := c.end(); err != nil {
					t.Error(err)
				}
				if e.Version != "HTTP/1.0" || e.Connection != said || strings.Count(c.seen.String(), "\r\nConnection:") != len(said)/len("keep-alive") {
					t.Errorf("told %+v, received %q", e, c.seen.String())
				}
				if e := rec.wait(t, httpka.Closed, 1); e.Reason != test.reason {
					t.Errorf("closed: %q, want %q", e.Reason, test.reason)
				}
			})
		}
	}
}

// HTTP/1.0 has no interim responses: the client has to send its body unasked.
func TestHTTP10WithoutInterim(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	_, addr := serve(t, httpka.ServerConfig{HTTP10: true, OnEvent: rec.tell})
	c := dialRaw(t, addr)
	c.send("POST /keep HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	if !quiet(c.Conn) {
		t.Error("there is an answer to half a request")
	}
	c.send("abc")
	if resp := c.response("POST"); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
	if n := len(rec.of(httpka.Interim)); n != 0 {
		t.Errorf("%d interim responses", n)
	}
}

// A client of HTTP/1.0 changes the first lines of a head and nothing else, however
// long the rest is.
func TestClientOfHTTP10Heads(t *testing.T) {
	t.Parallel()
	heads := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		r.Header.Set("Version", r.Proto)
		heads <- r.Header
	}))
	t.Cleanup(server.Close)
	c := newClient(t, httpka.ClientConfig{HTTP10: true}, newRecorder())
	for _, size := range []int{1, 4 << 10, 64<<10 - 100, 64 << 10, 100 << 10} {
		for _, connection := range []string{"", "keep-alive", "close"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = http.Header{"User-Agent": {"test"}, "X-Connection": {"close"}, "X-Long": {strings.Repeat("x", size)}, "X-Last": {"yes"}}
			if connection != "" {
				req.Header.Set("Connection", connection)
			}
			if x := c.Exchange(req, httpka.Bounds{Timeout: patience}); x.Err != nil || x.Status != http.StatusOK {
				t.Fatalf("%d bytes: status %d, %v", size, x.Status, x.Err)
			}
			want := req.Header.Clone()
			want["Content-Length"], want["Version"] = []string{"4"}, []string{"HTTP/1.0"}
			if got := <-heads; !maps.EqualFunc(got, want, slices.Equal) {
				for _, h := range []http.Header{got, want} {
					h["X-Long"] = []string{strconv.Itoa(len(h.Get("X-Long")))}
				}
				t.Errorf("%d bytes: %v\nwant %v", size, got, want)
			}
		}
	}
}
