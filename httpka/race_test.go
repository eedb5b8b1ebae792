package httpka_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"kax/httpka"
)

// What net/http's client does with a request that the server does not answer
// because it closes: GET is sent again, POST fails.
func TestRacer(t *testing.T) {
	t.Parallel()
	keep := func(_ int, c *net.TCPConn, r *bufio.Reader) { serveFor(c, r, time.Hour) }
	for _, tc := range []struct {
		name      string
		serve     func(int, *net.TCPConn, *bufio.Reader)
		get, post httpka.RaceOutcome
	}{
		{"kept", keep, httpka.RaceFine, httpka.RaceFine},
		{"closed before", func(_ int, c *net.TCPConn, r *bufio.Reader) { serveFor(c, r, time.Millisecond) }, httpka.RaceFresh, httpka.RaceFresh},
		{"closed on receipt", func(_ int, c *net.TCPConn, r *bufio.Reader) {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			io.WriteString(c, okAnswer)
			_, _ = http.ReadRequest(r)
		}, httpka.RaceRetried, httpka.RaceFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			shots, err := httpka.Racer{
				URL: scripted(t, tc.serve), At: 500 * time.Millisecond, Span: 2 * time.Millisecond, Step: time.Millisecond,
				Trials: 2, Methods: []string{http.MethodGet, http.MethodPost},
			}.Run(t.Context())
			if err != nil || len(shots) != 20 {
				t.Fatalf("%d shots, %v", len(shots), err)
			}
			for _, s := range shots {
				want := map[string]httpka.RaceOutcome{"GET": tc.get, "POST": tc.post}[s.Method]
				if s.Outcome != want || s.Offset < -2*time.Millisecond || (s.Err != "") != (want == httpka.RaceFailed) ||
					s.Err != "" && !strings.Contains("EOF, read: connection reset by peer, unexpected EOF", s.Err) {
					t.Errorf("%+v, want %s", s, want)
				}
			}
		})
	}
	// Whose first request is late may find a server that has given up the fresh
	// connection: it is opened again, and not for ever.
	for _, tc := range []struct {
		name   string
		closes func(conn int) bool
		ok     bool
	}{
		{"two connections closed without a response", func(conn int) bool { return conn <= 2 }, true},
		{"every connection closed without a response", func(int) bool { return true }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			shots, err := httpka.Racer{
				URL: scripted(t, func(conn int, c *net.TCPConn, r *bufio.Reader) {
					if !tc.closes(conn) {
						keep(conn, c, r)
					}
				}),
				At: time.Millisecond, Span: 1, Step: 2, Trials: 2, Methods: []string{http.MethodGet},
			}.Run(t.Context())
			if ok := err == nil && len(shots) == 4; ok != tc.ok {
				t.Errorf("%+v, %v", shots, err)
			}
		})
	}
	if _, err := (httpka.Racer{URL: "http://127.0.0.1:1/", At: time.Second, Span: 1, Trials: 1, Methods: []string{"GET"}}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "step") {
		t.Errorf("without a step: %v", err)
	}
	if _, err := (httpka.Racer{URL: "http://127.0.0.1:1/", At: time.Second, Step: 1, Trials: 1, Methods: []string{"GET"}}).Run(t.Context()); err == nil {
		t.Error("no error of a server that is not there")
	}
}
