package httpka_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"time"
)

// How long net/http's server leaves an idle connection open: for its IdleTimeout,
// or without one its ReadTimeout; a negative one is none; and before a first
// request none of them counts.
func TestServerIdleTimeout(t *testing.T) {
	const short = 100 * time.Millisecond
	for _, tt := range []struct {
		name   string
		server *http.Server
		asks   bool
		closes bool
	}{
		{"IdleTimeout", &http.Server{IdleTimeout: short}, true, true},
		{"falls back to ReadTimeout", &http.Server{ReadTimeout: short}, true, true},
		{"none", &http.Server{}, true, false},
		{"negative", &http.Server{ReadTimeout: short, IdleTimeout: -1}, true, false},
		{"before a request", &http.Server{IdleTimeout: short}, false, false},
		{"ReadHeaderTimeout, before a request", &http.Server{IdleTimeout: short, ReadHeaderTimeout: short}, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := dialRaw(t, standardServer(t, tt.server))
			if tt.asks {
				c.send(keepRequest)
				c.response("GET")
			}
			wait := patience
			if !tt.closes {
				wait = 5 * short // a server that is late may pass, and none that is right fails
			}
			if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
				t.Fatal(err)
			}
			_, err := c.r.ReadByte()
			if closed := errors.Is(err, io.EOF); closed != tt.closes || !closed && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v; closes: %v", err, tt.closes)
			}
		})
	}
}
