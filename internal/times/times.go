// Package times writes time spans for people: one form for those that were
// chosen, and one for those that were measured.
package times

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Clock writes a time that somebody chose or that follows from what they chose:
// settings, limits, pauses, and the predictions made of them. It is exact, to
// the millisecond (below 10 of them to the microsecond), and has Go's form without the zeros behind it, so that it
// can be given back as a flag: 500ms, 15s, 1m15s, 2h, 2h2m11.072s.
//
// What has been measured is [Brief]'s: rounded, and with a space before its
// unit, so that one can tell the two apart.
func Clock(d time.Duration) string {
	grain := time.Millisecond
	if d.Abs() < 10*grain {
		grain = time.Microsecond
	}
	text := d.Round(grain).String()
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
