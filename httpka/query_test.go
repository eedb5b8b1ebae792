package httpka

import (
	"strings"
	"testing"
	"time"
)

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "n=1", "n=-1&d=1", "d=1m30s", "d=90", "d=.", "chunked=1", "chunked=%31", "n=1&n=2", "x=1", "%zz", ";", "n=9e9", "d=10m1ns", "n=%0a",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q := parseQuery(raw, "n", "d", "chunked")
		n, d, _ := q.size("n", 1000), q.wait("d", time.Second), q.flag("chunked")
		switch {
		case q.err == nil && (n < 0 || n > maxBytes || d < 0 || d > maxWait):
			t.Errorf("%q is taken: %d, %v", raw, n, d)
		case q.err != nil && strings.ContainsAny(q.err.Error(), "\n\x1b"):
			t.Errorf("%q: the error is no line: %q", raw, q.err)
		}
	})
}
