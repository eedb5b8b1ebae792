package dissect

import (
	"fmt"

	"kax/internal/timeline"
)

// Verdict says what only the history of a connection tells of a segment.
func Verdict(e *timeline.Event) string {
	on := fmt.Sprintf("of the %s on connection #%d", e.Side, e.Conn)
	switch e.Kind {
	case "probe":
		return fmt.Sprintf("Keepalive probe %d %s, after %s of quiet: it carries nothing new, and everything sent before it is acknowledged.", e.Nth, on, timeline.Brief(e.Idle.Duration()))
	case "probe-answer":
		return fmt.Sprintf("The answer to keepalive probe %d, %s after it: the %s is there.", e.Nth, timeline.Brief(e.After.Duration()), e.Side)
	case "window-probe":
		return fmt.Sprintf("A zero-window probe %s: the bytes of a keepalive probe, but the peer has closed its window.", on)
	case "window-probe-answer":
		return fmt.Sprintf("The answer to a zero-window probe, %s after it.", timeline.Brief(e.After.Duration()))
	case "retransmission":
		return fmt.Sprintf("A retransmission %s: these bytes were sent before.", on)
	}
	return ""
}
