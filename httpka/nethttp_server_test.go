package httpka_test

import (
	"bufio"
	"errors"
	"io"
	"net"
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
			l := listen(t)
			go tt.server.Serve(l) //nolint:errcheck // ends with the test
			t.Cleanup(func() { tt.server.Close() })
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			r := bufio.NewReader(c)
			if tt.asks {
				if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					t.Fatal(err)
				}
			}
			wait := patience
			if !tt.closes {
				wait = 5 * short // a server that is late may pass, and none that is right fails
			}
			if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
				t.Fatal(err)
			}
			_, err = r.ReadByte()
			if closed := errors.Is(err, io.EOF); closed != tt.closes || !closed && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v; closes: %v", err, tt.closes)
			}
		})
	}
}
