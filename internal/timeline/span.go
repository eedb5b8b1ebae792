package timeline

import (
	"fmt"
	"math"
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
	// Rounding comes first: 999.6 µs is 1 ms, not 1000 µs.
	d = d.Round(time.Microsecond)
	ms, cs := d.Round(time.Millisecond), d.Round(10*time.Millisecond)
	switch {
	case d < 0:
		return "-" + Brief(-max(d, -math.MaxInt64)) // the smallest has no opposite
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.3g ms", float64(d)/1e6)
	case ms < time.Second:
		return fmt.Sprintf("%d ms", ms.Milliseconds())
	case cs < 100*time.Second:
		return fmt.Sprintf("%.2f s", cs.Seconds())
	}
	return d.Round(time.Second).String()
}

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
