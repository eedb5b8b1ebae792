package timeline

import (
	"fmt"
	"strings"
	"time"
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

// Brief writes a duration with two to four significant digits: 31 µs, 1.02 s.
func Brief(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Brief(-d)
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Round(time.Microsecond).Microseconds())
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.3g ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	case d < 100*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return d.Round(time.Second).String()
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
