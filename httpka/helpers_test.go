package httpka_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"kax/httpka"
)

// patience bounds a wait for something that is sure to come.
const patience = 30 * time.Second

// A recorder keeps the events it is told.
type recorder struct {
	mu     sync.Mutex
	events []httpka.Event
	more   chan struct{} // closed, and made anew, with each event
}

func newRecorder() *recorder { return &recorder{more: make(chan struct{})} }

func (r *recorder) tell(e httpka.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	close(r.more)
	r.more = make(chan struct{})
}

// of returns the events of a kind so far.
func (r *recorder) of(kind httpka.Kind) []httpka.Event {
	events, _ := r.look(kind)
	return events
}

func (r *recorder) look(kind httpka.Kind) ([]httpka.Event, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []httpka.Event
	for _, e := range r.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found, r.more
}

// kinds returns the kinds told so far, in order.
func (r *recorder) kinds() []httpka.Kind {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kinds []httpka.Kind
	for _, e := range r.events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// wait returns the n-th event of a kind, from 1, as soon as it is told.
func (r *recorder) wait(t *testing.T, kind httpka.Kind, n int) httpka.Event {
	t.Helper()
	deadline := time.After(patience)
	for {
		found, more := r.look(kind)
		if len(found) >= n {
			return found[n-1]
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("%d events of kind %v, want %d; told: %v", len(found), kind, n, r.kinds())
		}
	}
}

// serve starts a server on a free port and returns its address.
func serve(t *testing.T, cfg httpka.ServerConfig) (*httpka.Server, string) {
	t.Helper()
	cfg.ErrorLog = log.New(io.Discard, "", 0)
	s := httpka.NewServer(cfg)
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, l.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// newClient returns a client that tells r, and closes with the test.
func newClient(t *testing.T, cfg httpka.ClientConfig, r *recorder) *httpka.Client {
	cfg.OnEvent = r.tell
	c := httpka.NewClient(cfg)
	t.Cleanup(c.Close)
	return c
}

func get(t *testing.T, c *httpka.Client, url string) {
	t.Helper()
	status, err := c.Get(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if status != http.StatusOK {
		t.Fatalf("GET %s: status %d", url, status)
	}
}

// waitClosed waits until the client has no connection.
func waitClosed(t *testing.T, c *httpka.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

// A raw connection shows what a client library would hide.
type raw struct {
	t *testing.T
	net.Conn
	r    *bufio.Reader
	seen bytes.Buffer // everything read
}

func dialRaw(t *testing.T, addr string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	r := &raw{t: t, Conn: c}
	r.r = bufio.NewReader(io.TeeReader(c, &r.seen))
	return r
}

func (r *raw) send(text string) {
	r.t.Helper()
	if _, err := io.WriteString(r.Conn, text); err != nil {
		r.t.Fatal(err)
	}
}

// response reads the next response to a request of a method, and its body.
func (r *raw) response(method string) *http.Response {
	r.t.Helper()
	resp, err := http.ReadResponse(r.r, &http.Request{Method: method})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		r.t.Fatal(err)
	}
	return resp
}

// end reads on to the end of the connection: nil is a FIN.
func (r *raw) end() error {
	r.t.Helper()
	b, err := io.ReadAll(r.r)
	if len(b) > 0 {
		r.t.Errorf("unexpected bytes before the end: %q", b)
	}
	return err
}

// quiet reports that a connection has nothing to read. What was sent over
// loopback is there at once.
func quiet(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	defer c.SetReadDeadline(time.Now().Add(patience))
	_, err := c.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded)
}
