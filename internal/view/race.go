package view

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kax/internal/timeline"
)

// barWidth is of a histogram's bar that counts more than that.
const barWidth = 30

// race draws a histogram over the offset from the timeout, a letter for each
// request.
func (v *Details) race(b *bytes.Buffer, r *timeline.Race) {
	v.opts.paragraph(b, bold, "", fmt.Sprintf("%s: requests sent at its idle timeout of %s, and up to %s before and after", Clean(r.URL), seconds(r.At), seconds(r.Span)))
	v.opts.paragraph(b, plain, "  ", ". answered on the idle connection; n on a new one, as the client had noticed the end; r lost, and sent again by the client itself; F failed")
	widest := 0
	for _, m := range r.Methods {
		for _, o := range m.Offsets {
			widest = max(widest, o.Sent())
		}
	}
	column := min(widest, barWidth)
	head := fmt.Sprintf("  %9s", "offset")
	for _, m := range r.Methods {
		head += "  " + pad(Clean(m.Method), max(column, 4))
	}
	fmt.Fprintf(b, "\n%s\n", strings.TrimRight(head, " "))
	decimals := 1
	if time.Duration(r.Step)%(100*time.Microsecond) != 0 {
		decimals = 3
	}
	if len(r.Methods) > 0 {
		for i, o := range r.Methods[0].Offsets {
			line := fmt.Sprintf("  %+6.*f ms", decimals, float64(o.Offset)/1e6)
			for _, m := range r.Methods {
				line += "  " + pad(bar(m.Offsets[i].RaceCount, widest), max(column, 4))
			}
			fmt.Fprintln(b, strings.TrimRight(line, " "))
		}
	}
	fmt.Fprintln(b)
	for _, m := range r.Methods {
		text := fmt.Sprintf("%d sent: %d fine, %d on a new connection, %d retried, %d failed", m.Sent(), m.Fine, m.Fresh, m.Retried, m.Failed)
		var why []string
		for _, name := range slices.SortedFunc(maps.Keys(m.Failures), func(x, y string) int {
			return cmp.Or(cmp.Compare(m.Failures[y], m.Failures[x]), cmp.Compare(x, y))
		}) {
			why = append(why, fmt.Sprintf("%d × %s", m.Failures[name], Clean(name)))
		}
		if len(why) > 0 {
			text += " (" + strings.Join(why, ", ") + ")"
		}
		v.line(b, Clean(m.Method), text)
	}
	if text := missed(r); text != "" {
		v.opts.paragraph(b, plain, "  ", text)
	}
}

// missed says that the timeout was not among the times that were tried.
func missed(r *timeline.Race) string {
	var sent, fine, fresh int
	for _, m := range r.Methods {
		sent, fine, fresh = sent+m.Sent(), fine+m.Fine, fresh+m.Fresh
	}
	switch {
	case sent == 0:
		return ""
	case fine == sent:
		return "No request met the end of its connection: the idle timeout is longer. kax http idle measures it."
	case fresh == sent:
		return "No request met an open connection: the idle timeout is shorter. kax http idle measures it."
	}
	return ""
}

// bar has a letter for each request, or for a share of them; what has happened
// at all has one.
func bar(c timeline.RaceCount, widest int) string {
	var text string
	for _, part := range []struct {
		n      int
		letter string
	}{{c.Fine, "."}, {c.Retried, "r"}, {c.Failed, "F"}, {c.Fresh, "n"}} {
		n := part.n
		if widest > barWidth && n > 0 {
			n = max(n*(barWidth-3)/widest, 1)
		}
		text += strings.Repeat(part.letter, n)
	}
	return text
}
