package httpka_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kax/httpka"
)

// scripted serves each connection by f, with the number of the connection.
func scripted(t *testing.T, f func(nth int, c *net.TCPConn, r *bufio.Reader)) string {
	t.Helper()
	l := listen(t)
	go func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(n, c.(*net.TCPConn), bufio.NewReader(c))
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/"
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=1\r\n\r\nok"

// serveFor answers requests until none has come for a time.
func serveFor(c *net.TCPConn, r *bufio.Reader, idle time.Duration) {
	for {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		io.WriteString(c, okAnswer)
		c.SetReadDeadline(time.Now().Add(idle))
	}
}

func find(t *testing.T, f httpka.IdleFinder) httpka.IdleResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := f.Find(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// near holds what was found against what was set: earlier by the time that a
// response takes to be read, and later as far as a busy machine is.
func near(t *testing.T, got, want time.Duration) {
	t.Helper()
	if got < want*2/3 || got > want*4/3+100*time.Millisecond {
		t.Errorf("found %v, want %v", got, want)
	}
}

func TestIdleFinderCloses(t *testing.T) {
	t.Parallel()
	const timeout = 700 * time.Millisecond
	for _, tc := range []struct {
		name  string
		after func(c *net.TCPConn) // the idle timeout
		how   httpka.IdleEnd
	}{
		{"FIN", func(*net.TCPConn) {}, httpka.IdleFIN},
		{"RST", func(c *net.TCPConn) { c.SetLinger(0) }, httpka.IdleRST},
		// As some balancers and servers say goodbye; no answer to anything.
		{"408", func(c *net.TCPConn) {
			io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		}, httpka.IdleFIN},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			url := scripted(t, func(_ int, c *net.TCPConn, r *bufio.Reader) {
				serveFor(c, r, timeout)
				tc.after(c)
			})
			r := find(t, httpka.IdleFinder{URL: url, Samples: 3})
			near(t, r.Timeout, timeout)
			if r.How != tc.how || r.Samples+r.Remaining != 3 || r.Announced != "timeout=1" || r.Status != 200 || r.AtLeast > r.Timeout {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Connections that do not end together do not keep the others' end from being
// told.
func TestIdleFinderStragglers(t *testing.T) {
	t.Parallel()
	url := scripted(t, func(nth int, c *net.TCPConn, r *bufio.Reader) {
		if nth == 2 {
			serveFor(c, r, time.Hour)
		}
		serveFor(c, r, 600*time.Millisecond)
	})
	r := find(t, httpka.IdleFinder{URL: url, Samples: 3})
	near(t, r.Timeout, 600*time.Millisecond)
	// Which connection of the finder is the second is not said.
	if r.How != httpka.IdleFIN || r.Samples+r.Remaining != 3 || r.Waited > 5*time.Second {
		t.Errorf("%+v", r)
	}
}

// A forgetful is a connection through something that forgets it when nothing
// has crossed it for a time, and then loses everything.
type forgetful struct {
	net.Conn
	timeout time.Duration
	mu      sync.Mutex
	last    time.Time
	gone    bool
}

func (f *forgetful) lost() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.last.IsZero() && time.Since(f.last) > f.timeout {
		f.gone = true
	}
	f.last = time.Now()
	return f.gone
}

func (f *forgetful) Write(b []byte) (int, error) {
	if f.lost() {
		return len(b), nil
	}
	return f.Conn.Write(b)
}

func (f *forgetful) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if n > 0 {
		f.lost()
	}
	return n, err
}

func TestIdleFinderSilent(t *testing.T) {
	t.Parallel()
	const timeout = 1300 * time.Millisecond
	url := scripted(t, func(_ int, c *net.TCPConn, r *bufio.Reader) { serveFor(c, r, time.Hour) })
	var refined atomic.Bool
	r := find(t, httpka.IdleFinder{
		URL: url,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			return &forgetful{Conn: c, timeout: timeout}, err
		},
		OnProgress: func(p httpka.IdleProgress) {
			if p.Refining > 0 {
				refined.Store(true)
			}
		},
	})
	if r.How != httpka.IdleSilent || r.Answer != "nothing" || r.AtLeast > timeout || r.AtLeast+r.Spread < timeout || !refined.Load() {
		t.Errorf("%+v", r)
	}
	near(t, r.Timeout, timeout)
	// 2.5 timeouts and the answers' time; a busy machine takes longer, and a ladder
	// that grows too fast much longer.
	if r.Waited > timeout*5/2+10*time.Second {
		t.Errorf("it took %v", r.Waited)
	}
}

// One answer that is late, or lost, is no idle timeout: longer silences were
// answered.
func TestIdleFinderNoise(t *testing.T) {
	t.Parallel()
	var swallowed atomic.Bool
	url := scripted(t, func(_ int, c *net.TCPConn, r *bufio.Reader) {
		for first := true; ; first = false {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			if !first && swallowed.CompareAndSwap(false, true) {
				continue
			}
			io.WriteString(c, okAnswer)
		}
	})
	r := find(t, httpka.IdleFinder{URL: url, Enough: 2 * time.Second})
	if r.How != httpka.IdleNone || r.AtLeast < 2*time.Second || r.Unanswered != 0 || !swallowed.Load() {
		t.Errorf("%+v", r)
	}
}

func TestIdleFinderEnough(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	url := scripted(t, func(_ int, c *net.TCPConn, r *bufio.Reader) { serveFor(c, r, timeout) })
	r := find(t, httpka.IdleFinder{URL: url, Enough: 600 * time.Millisecond})
	if r.How != httpka.IdleNone || r.AtLeast < 600*time.Millisecond || r.Samples != 5 || r.Waited > timeout {
		t.Errorf("%+v", r)
	}
	stop := make(chan struct{})
	time.AfterFunc(300*time.Millisecond, func() { close(stop) })
	r = find(t, httpka.IdleFinder{URL: url, Stop: stop})
	if r.How != httpka.IdleNone || r.AtLeast < 200*time.Millisecond || r.Samples != 5 || r.Waited > timeout {
		t.Errorf("stopped: %+v", r)
	}
}

// A sample that fails has not lasted.
func TestIdleFinderFailedSample(t *testing.T) {
	t.Parallel()
	url := scripted(t, func(nth int, c *net.TCPConn, r *bufio.Reader) {
		if nth != 3 {
			serveFor(c, r, time.Hour)
		}
	})
	r := find(t, httpka.IdleFinder{URL: url, Enough: 500 * time.Millisecond})
	if r.How != httpka.IdleNone || r.Samples != 4 || r.Failed != 1 {
		t.Errorf("%+v", r)
	}
}

// What is known when the context ends is returned.
func TestIdleFinderCancel(t *testing.T) {
	t.Parallel()
	url := scripted(t, func(_ int, c *net.TCPConn, r *bufio.Reader) { serveFor(c, r, time.Hour) })
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	r, err := httpka.IdleFinder{URL: url, OnProgress: func(p httpka.IdleProgress) {
		if len(p.Answered) > 0 {
			cancel(why)
		}
	}}.Find(ctx)
	if !errors.Is(err, why) || r.AtLeast < 500*time.Millisecond || r.How != httpka.IdleNone {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestIdleFinderErrors(t *testing.T) {
	t.Parallel()
	say := func(text string, wait bool) func(int, *net.TCPConn, *bufio.Reader) {
		return func(_ int, c *net.TCPConn, r *bufio.Reader) {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			io.WriteString(c, text)
			if wait {
				io.Copy(io.Discard, r)
			}
		}
	}
	for _, tc := range []struct {
		name, want string
		is         error
		serve      func(int, *net.TCPConn, *bufio.Reader)
	}{
		{"close", "Connection: close", httpka.ErrNotReusable, say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false)},
		{"HTTP/1.0", "HTTP/1.0 without keep-alive", httpka.ErrNotReusable, say("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false)},
		{"until close", "the body ends with the connection", httpka.ErrNotReusable, say("HTTP/1.1 200 OK\r\n\r\nhello", false)},
		{"mute", "no response within 400ms", nil, say("", true)},
		{"endless", "the response did not end within 400ms", nil, say("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx", true)},
		{"gone", "closed without a response", nil, say("", false)},
		{"HTTP/2", "not HTTP/1: HTTP/2", httpka.ErrHTTP2, say("\x00\x00\x00\x04\x00\x00\x00\x00\x00", false)},
		{"TLS", "TLS", httpka.ErrTLS, say("\x15\x03\x01\x00\x02\x02\x46", false)},
		{"mute, reset", "reset by peer", nil, func(_ int, c *net.TCPConn, r *bufio.Reader) {
			http.ReadRequest(r)
			c.SetLinger(0)
		}},
		{"SSH", "not HTTP", httpka.ErrNotHTTP, say("SSH-2.0-x\r\n", false)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := httpka.IdleFinder{URL: scripted(t, tc.serve), GiveUpAfter: 400 * time.Millisecond}.Find(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.want) || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
	url := "https" + strings.TrimPrefix(scripted(t, func(_ int, _ *net.TCPConn, r *bufio.Reader) { io.Copy(io.Discard, r) }), "http")
	if _, err := (httpka.IdleFinder{URL: url, GiveUpAfter: 400 * time.Millisecond}).Find(t.Context()); err == nil || !strings.Contains(err.Error(), "no end of the TLS handshake within 400ms") {
		t.Errorf("mute, TLS: %v", err)
	}
	for _, url := range []string{"", "127.0.0.1:80", "ftp://127.0.0.1/", "http://", "http://\x00/"} {
		if _, err := (httpka.IdleFinder{URL: url}).Find(t.Context()); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
}

// Behind one address there may be servers that differ, and the samples may all
// be on the patient one.
func TestIdleFinderLeastPatient(t *testing.T) {
	t.Parallel()
	r, err := httpka.IdleFinder{URL: scripted(t, func(nth int, c *net.TCPConn, r *bufio.Reader) {
		idle := 100 * time.Millisecond
		if nth == 1 {
			idle = time.Hour
		}
		serveFor(c, r, idle)
	}), Samples: 1, Enough: time.Second}.Find(t.Context())
	if err != nil || r.How != httpka.IdleNone || r.AtLeast > 500*time.Millisecond {
		t.Errorf("%+v, %v", r, err)
	}
}
