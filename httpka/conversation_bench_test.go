package httpka_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"kax/httpka"
)

// Bytes of a body cost no allocation, whatever their framing.
func TestBodyAllocatesNothing(t *testing.T) {
	for name, head := range map[string]string{
		"length":      "HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n",
		"chunked":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"until close": "HTTP/1.1 200 OK\r\n\r\n",
	} {
		var c httpka.Conversation
		c.OnFinding = func(f *httpka.Finding) {
			if f.Stage != httpka.HeadComplete {
				t.Errorf("%s: %+v", name, f)
			}
		}
		c.Feed(true, []byte(head))
		piece := []byte("4;ext\r\nbody\r\n")
		if n := testing.AllocsPerRun(100, func() { c.Feed(true, piece) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// A program may follow many connections.
func TestConversationIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(httpka.Conversation{}); n > 800 {
		t.Errorf("%d bytes", n)
	}
	// What long messages took is not kept.
	long := strings.Repeat("x", 60_000)
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	idle := make([]httpka.Conversation, 100)
	before := used()
	for i := range idle {
		c := &idle[i]
		for range 20 { // pipelined
			c.Feed(false, []byte("GET / HTTP/1.1\r\n\r\n"))
		}
		for _, head := range []string{"GET /" + long, " HTTP/1.1\r\n\r\n"} {
			c.Feed(false, []byte(head))
		}
		for range 21 {
			for _, head := range []string{"HTTP/1.1 200 " + long, "\r\nContent-Length: 0\r\n\r\n"} {
				c.Feed(true, []byte(head))
			}
		}
		if c.Unanswered() != 0 {
			t.Fatal("a request has no response")
		}
	}
	each := (int64(used()) - int64(before)) / int64(len(idle))
	if each > 1<<10 {
		t.Errorf("an idle connection holds %d bytes more", each)
	}
	runtime.KeepAlive(idle)
	runtime.KeepAlive(long)
}

func BenchmarkConversationBody(b *testing.B) {
	packet := bytes.Repeat([]byte("x"), 1448)
	for _, bb := range []struct{ name, head, before, after string }{
		{"length", "Content-Length: 9000000000000000000", "", ""},
		{"chunked", "Transfer-Encoding: chunked", "5a8\r\n", "\r\n"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var c httpka.Conversation
			c.Feed(true, []byte("HTTP/1.1 200 OK\r\n"+bb.head+"\r\n\r\n"))
			piece := []byte(bb.before + string(packet) + bb.after)
			b.SetBytes(int64(len(piece)))
			b.ReportAllocs()
			for b.Loop() {
				c.Feed(true, piece)
			}
		})
	}
}

// A request and its response, of eight fields each.
const (
	eightRequest = "GET /api/v1/items?page=2 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n" +
		"Accept-Encoding: gzip, deflate\r\nAccept-Language: en\r\nCookie: session=0123456789abcdef\r\n" +
		"Cache-Control: no-cache\r\nConnection: keep-alive\r\n\r\n"
	eightResponse = "HTTP/1.1 200 OK\r\nServer: nginx/1.26.3\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\nVary: Accept-Encoding\r\n" +
		"ETag: \"0123456789abcdef\"\r\nConnection: keep-alive\r\nKeep-Alive: timeout=65\r\n\r\nkept\n"
)

// Messages cost no allocation where their strings were seen lately, on this
// connection or, behind a Reset, on the one before.
func TestMessagesAllocateNothing(t *testing.T) {
	found := 0
	c := httpka.Conversation{OnFinding: func(*httpka.Finding) { found++ }}
	var requests [][]byte
	for _, line := range []string{"GET /a", "GET /b?c", "PROPFIND /d", "GET /" + strings.Repeat("e", 100)} {
		requests = append(requests, []byte(line+strings.TrimPrefix(eightRequest, "GET /api/v1/items?page=2")))
	}
	response := []byte(eightResponse)
	for _, tt := range []struct {
		name string
		cut  int
	}{{"whole", 1 << 20}, {"in pieces", 40}} {
		feed := func(fromServer bool, m []byte) {
			for len(m) > 0 {
				n := min(len(m), tt.cut)
				c.Feed(fromServer, m[:n])
				m = m[n:]
			}
		}
		if n := testing.AllocsPerRun(100, func() {
			for _, request := range requests {
				feed(false, request)
				feed(true, response)
			}
			c.Reset()
		}); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
	if want := 2 * 101 * len(requests) * 4; found != want {
		t.Errorf("%d findings, want %d", found, want)
	}
}

// Without targets no message costs an allocation, and nothing else is missing.
func TestNoTargets(t *testing.T) {
	response := []byte(eightResponse)
	run := func(c *httpka.Conversation) (found []httpka.Finding) {
		c.OnFinding = func(f *httpka.Finding) { found = append(found, *f) }
		for _, target := range []string{"/a", "/b?c"} {
			c.Feed(false, []byte(strings.Replace(eightRequest, "/api/v1/items?page=2", target, 1)))
			c.Feed(true, response)
		}
		return found
	}
	without, with := httpka.Conversation{NoTargets: true}, httpka.Conversation{}
	got, want := run(&without), run(&with)
	for i := range want {
		if want[i].Message.Target == "" {
			t.Errorf("finding %d has no target", i)
		}
		want[i].Message.Target = ""
	}
	if !same(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	without.OnFinding = nil
	n := 0
	request := []byte(strings.Replace(eightRequest, "page=2", "page=0000", 1))
	at := strings.Index(string(request), "0000")
	if allocs := testing.AllocsPerRun(100, func() {
		n++
		request[at], request[at+1] = byte('0'+n/10%10), byte('0'+n%10)
		without.Feed(false, request)
		without.Feed(true, response)
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkConversationMessages(b *testing.B) {
	for _, bb := range []struct {
		name string
		cut  int
	}{{"whole", 1 << 20}, {"pieces of 40 bytes", 40}} {
		b.Run(bb.name, func(b *testing.B) {
			found := 0
			c := httpka.Conversation{OnFinding: func(*httpka.Finding) { found++ }}
			request, response := []byte(eightRequest), []byte(eightResponse)
			feed := func(fromServer bool, m []byte) {
				for len(m) > 0 {
					n := min(len(m), bb.cut)
					c.Feed(fromServer, m[:n])
					m = m[n:]
				}
			}
			b.SetBytes(int64(len(request) + len(response)))
			b.ReportAllocs()
			for b.Loop() {
				feed(false, request)
				feed(true, response)
			}
			if found == 0 || found%4 != 0 {
				b.Errorf("%d findings", found)
			}
			b.ReportMetric(float64(found/2)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
