package view

import (
	"bytes"
	"fmt"
	"time"

	"kax/internal/timeline"
)

// idle says what became of connections that were left idle.
func (v *Details) idle(b *bytes.Buffer, i *timeline.Idle) {
	v.opts.paragraph(b, bold, "", Clean(i.URL)+": "+idleFound(i.How, i.IdleTimes))
	switch {
	case i.How == timeline.IdleSilent:
		v.line(b, "between", seconds(i.AtLeast)+", after which a request was answered, and "+seconds(i.AtLeast+i.Spread)+", after which it "+lateAnswer(i.Answer))
		v.line(b, "connections", fmt.Sprintf("%d, each used once more after a time of its own", i.Samples))
	case i.How != timeline.IdleNone:
		text := fmt.Sprintf("%s, %s apart", timeline.Count(i.Samples, "connection"), timeline.Brief(time.Duration(i.Spread)))
		if i.Remaining > 0 {
			text += fmt.Sprintf("; %d more were still open then", i.Remaining)
		}
		v.line(b, "samples", text)
	case i.Samples > 0:
		v.line(b, "samples", fmt.Sprintf("%s still answered", timeline.Count(i.Samples, "connection")))
	}
	if i.Unanswered > 0 {
		v.line(b, "unanswered", fmt.Sprintf("%s did not answer in the end", timeline.Count(i.Unanswered, "connection")))
	}
	if i.Failed > 0 {
		v.line(b, "failed", fmt.Sprintf("%s had no first response", timeline.Count(i.Failed, "connection")))
	}
	announced := "nothing"
	if i.Announced != "" {
		announced = "Keep-Alive: " + Clean(i.Announced)
	}
	v.line(b, "announced", announced)
	if i.Status >= 300 {
		v.line(b, "status", fmt.Sprintf("%d: this is the timeout of the server that answers so", i.Status))
	}
	if p := i.Probed; p != nil {
		v.line(b, "with probes", idleFound(p.How, p.IdleTimes)+" ("+v.opts.settings(p.Keepalive)+"): "+Clean(p.Effect))
	}
	if c := i.Check; c != nil {
		text := "no"
		if c.OK {
			text = "yes"
		}
		v.line(b, "longer", fmt.Sprintf("than %s, by %s: %s", seconds(c.LongerThan), seconds(c.Margin), text))
	}
	v.line(b, "waited", seconds(i.Waited))
}

func lateAnswer(answer string) string {
	switch answer {
	case "reset":
		return "was answered by a reset"
	case "closed":
		return "found the connection closed"
	}
	return "was not"
}

// idleFound says how connections ended and when.
func idleFound(how timeline.IdleEnd, t timeline.IdleTimes) string {
	switch how {
	case timeline.IdleFIN:
		return "closes idle connections after " + seconds(t.Timeout) + " (FIN)"
	case timeline.IdleRST:
		return "resets idle connections after " + seconds(t.Timeout) + " (RST)"
	case timeline.IdleSilent:
		return "idle connections are lost without a word after about " + seconds(t.Timeout)
	}
	if t.AtLeast == 0 {
		return "no idle timeout found so far"
	}
	return "no idle timeout found: connections lasted " + seconds(t.AtLeast) + " at least"
}
