package timeline

import (
	"fmt"
	"strings"
	"time"

	"kax/internal/times"
)

// span is the range of some durations.
type span struct {
	n        int
	min, max time.Duration
}

func (s *span) add(d time.Duration) {
	if s.n == 0 || d < s.min {
		s.min = d
	}
	if s.n == 0 || d > s.max {
		s.max = d
	}
	s.n++
}

func (s *span) String() string {
	lo, hi := Brief(s.min), Brief(s.max)
	if lo == hi {
		return lo
	}
	return lo + " to " + hi
}

// Brief is [times.Brief], the form of what was measured.
func Brief(d time.Duration) string { return times.Brief(d) }

// Count writes a number of things: "1 probe", "2 probes".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// hasToken reports whether a comma-separated header (RFC 9110 section 5.6.1)
// has a token, in any case.
func hasToken(header, token string) bool {
	for t := range strings.SplitSeq(header, ",") {
		if strings.EqualFold(strings.TrimSpace(t), token) {
			return true
		}
	}
	return false
}
