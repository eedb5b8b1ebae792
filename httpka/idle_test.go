package httpka_test

import (
	"slices"
	"testing"
	"time"

	"kax/httpka"
)

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 500 * time.Millisecond
	rec := newRecorder()
	_, addr := serve(t, httpka.ServerConfig{IdleTimeout: timeout, OnEvent: rec.tell})
	c := dialRaw(t, addr)
	for range 2 {
		c.send(keepRequest)
		c.response("GET")
	}
	if err := c.end(); err != nil {
		t.Errorf("after the idle timeout: %v, want EOF", err)
	}
	// The event comes before the FIN, and so is there by now.
	closes := rec.of(httpka.IdleClose)
	if len(closes) != 1 {
		t.Fatalf("%d idle closes, want 1; told: %v", len(closes), rec.kinds())
	}
	if e := closes[0]; e.Idle < timeout || !e.FromServer || e.Client.String() != c.LocalAddr().String() {
		t.Errorf("idle close: %+v", e)
	}
	if e := rec.wait(t, httpka.Closed, 1); e.Reason != "idle timeout" || e.Idle < timeout || e.Nth != 2 {
		t.Errorf("closed: %+v", e)
	}
	want := []httpka.Kind{httpka.Opened, httpka.Response, httpka.Response, httpka.IdleClose, httpka.Closed}
	if got := rec.kinds(); !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// Who closes an idle connection before its timeout, and what is told of it.
func TestNoIdleClose(t *testing.T) {
	for _, test := range []struct {
		name   string
		close  func(*httpka.Server, *raw) error
		reason string
	}{
		{"client", func(_ *httpka.Server, c *raw) error { return c.Close() }, "the client closed"},
		{"client resets", func(_ *httpka.Server, c *raw) error { reset(c.t, c.Conn); return nil }, "the client reset it"},
		{"server closed", func(s *httpka.Server, _ *raw) error { return s.Close() }, "the server stops"},
		{"server shut down", func(s *httpka.Server, c *raw) error { return s.Shutdown(c.t.Context()) }, "the server stops"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			requests := []string{keepRequest, "GET /keep HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"}
			// It depends on the moment which of net/http's reads meets the end.
			for _, request := range slices.Repeat(requests, 10) {
				rec := newRecorder()
				s, addr := serve(t, httpka.ServerConfig{IdleTimeout: time.Hour, OnEvent: rec.tell})
				c := dialRaw(t, addr)
				c.send(request)
				c.response("GET")
				if err := test.close(s, c); err != nil {
					t.Fatal(err)
				}
				if e := rec.wait(t, httpka.Closed, 1); e.Reason != test.reason || e.Nth != 1 {
					t.Errorf("closed: %q after %d responses, want %q after 1", e.Reason, e.Nth, test.reason)
				}
				if n := len(rec.of(httpka.IdleClose)); n != 0 {
					t.Errorf("%d idle closes", n)
				}
			}
		})
	}
}

// net/http by itself would wait for ever for a first request, and for the rest
// of one.
func TestNoRequestInTime(t *testing.T) {
	for _, sent := range []string{"", "GET /keep HTTP/1.1\r\nHost: x\r\n"} {
		t.Run(sent, func(t *testing.T) {
			t.Parallel()
			rec := newRecorder()
			_, addr := serve(t, httpka.ServerConfig{IdleTimeout: 100 * time.Millisecond, OnEvent: rec.tell})
			c := dialRaw(t, addr)
			c.send(sent)
			if err := c.end(); err != nil {
				t.Errorf("after the timeout: %v, want EOF", err)
			}
			if e := rec.wait(t, httpka.Closed, 1); e.Reason != "no request in time" {
				t.Errorf("closed: %+v", e)
			}
			if n := len(rec.of(httpka.IdleClose)); n != 0 {
				t.Errorf("%d idle closes of a connection that was not idle", n)
			}
		})
	}
}

// A connection on which nothing was asked is closed by its client.
func TestNothingAsked(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	_, addr := serve(t, httpka.ServerConfig{IdleTimeout: time.Hour, OnEvent: rec.tell})
	c := dialRaw(t, addr)
	rec.wait(t, httpka.Opened, 1)
	c.Close()
	if e := rec.wait(t, httpka.Closed, 1); e.Reason != "the client closed" || e.Nth != 0 {
		t.Errorf("closed: %+v", e)
	}
}
