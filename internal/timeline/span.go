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

// Clock writes a time that somebody chose or that follows from what they chose:
// settings, limits, pauses, and the predictions made of them. It is exact, to
// the millisecond, and has Go's form without the zeros behind it, so that it
// can be given back as a flag: 500ms, 15s, 1m15s, 2h, 2h2m11.072s.
//
// What has been measured is [Brief]'s: rounded, and with a space before its
// unit, so that one can tell the two apart.
func Clock(d time.Duration) string {
	text := d.Round(time.Millisecond).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Brief writes a time that was measured, with two to four significant digits:
// 31 µs, 1.02 s, 1m40s. See [Clock] for those that were chosen.
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
	return Clock(d.Round(time.Second))
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
