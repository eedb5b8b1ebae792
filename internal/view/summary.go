package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"kax/internal/timeline"
)

// summary writes a table of the connections, the totals and the verdicts.
func (o Options) summary(b *strings.Builder, conns []timeline.Conn, s *timeline.Summary) {
	width := max(o.Width, minWidth)
	line := fmt.Sprintf("%-5s %8s %6s %6s %8s  %-12s %8s", "conn", "requests", "reused", "probes", "answered", "closed", "lasted")
	fmt.Fprintf(b, "\n%s\n", o.paint(bold, line))
	// They come in the order in which they have ended.
	slices.SortFunc(conns, func(a, b timeline.Conn) int { return cmp.Compare(a.ID, b.ID) })
	for _, c := range conns {
		line := fmt.Sprintf("%-5s %8d %6d %6d %8d  %-12s %8s", fmt.Sprintf("#%d", c.ID),
			c.Requests, c.Reused, c.Probes, c.Answered, goodbye(c), timeline.Brief(time.Duration(c.Ended-c.Opened)))
		fmt.Fprintf(b, "%s\n", cut(line, width))
	}
	total := fmt.Sprintf("%s, %s (%d reused), %s, %d answered",
		timeline.Count(s.Connections, "connection"), timeline.Count(s.Requests, "request"), s.Reused,
		timeline.Count(s.Events["probe"], "probe"), s.Answered)
	if s.Packets > 0 {
		total = timeline.Count(s.Packets, "packet") + ", " + total
	}
	if s.KernelProbes != nil {
		total += fmt.Sprintf("; the kernel counted %d", *s.KernelProbes)
	}
	if s.Dropped > 0 {
		total += fmt.Sprintf("; %s not captured for want of room", timeline.Count(s.Dropped, "packet"))
	}
	o.paragraph(b, plain, "", total)
	fmt.Fprintln(b)
	for _, v := range s.Verdicts {
		o.paragraph(b, plain, "• ", Clean(v))
	}
}

// paragraph writes text wrapped to the width, behind a prefix.
func (o Options) paragraph(b *strings.Builder, s style, prefix, text string) {
	indent := utf8.RuneCountInString(prefix)
	for _, line := range wrap(strings.Fields(text), " ", max(o.Width, minWidth)-indent) {
		fmt.Fprintf(b, "%s%s\n", o.paint(s, prefix), line)
		prefix = strings.Repeat(" ", indent)
	}
}

func goodbye(c timeline.Conn) string {
	switch c.Close {
	case timeline.NotYet:
		return "still open"
	case timeline.Timeout:
		return "peer gone"
	}
	return Clean(fmt.Sprintf("%s, %s", c.ClosedBy, strings.ToUpper(string(c.Close))))
}
