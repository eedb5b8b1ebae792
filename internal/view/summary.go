package view

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"kax/internal/timeline"
)

// row writes a line of the table of connections.
func (o Options) row(b *bytes.Buffer, s style, conn string, requests, reused, probes, answered any, closed, lasted string) {
	http := ""
	if !o.TCPOnly {
		http = fmt.Sprintf(" %8v %6v", requests, reused)
	}
	line := fmt.Sprintf("%-5s%s %6v %8v  %-12s %8s", conn, http, probes, answered, closed, lasted)
	fmt.Fprintf(b, "%s\n", o.paint(s, cut(line, o.Width)))
}

// summary writes a table of the connections, the totals and the verdicts.
func (o Options) summary(b *bytes.Buffer, conns []timeline.Conn, s *timeline.Summary) {
	o.Width = max(o.Width, minWidth)
	fmt.Fprintln(b)
	if len(conns) > 0 {
		o.row(b, bold, "conn", "requests", "reused", "probes", "answered", "closed", "lasted")
	}
	// They come in the order in which they have ended.
	slices.SortFunc(conns, func(a, b timeline.Conn) int { return cmp.Compare(a.ID, b.ID) })
	for _, c := range conns {
		o.row(b, plain, fmt.Sprintf("#%d", c.ID), c.Requests, c.Reused, c.Probes, c.Answered, goodbye(c), timeline.Brief(time.Duration(c.Ended-c.Opened)))
	}
	if more := s.Connections - len(conns); more > 0 && len(conns) >= maxRows {
		o.paragraph(b, plain, "", fmt.Sprintf("… and %s: --json has a record of each", timeline.Count(more, "more connection")))
		fmt.Fprintln(b)
	}
	total := timeline.Count(s.Connections, "connection") + ", "
	if !o.TCPOnly {
		total += fmt.Sprintf("%s (%d reused), ", timeline.Count(s.Requests, "request"), s.Reused)
	}
	total += fmt.Sprintf("%s, %d answered", timeline.Count(s.Events["probe"], "probe"), s.Answered)
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
	if len(s.Verdicts) > 0 {
		fmt.Fprintln(b)
	}
	for _, v := range s.Verdicts {
		o.paragraph(b, plain, "• ", Clean(v))
	}
}

// paragraph writes text wrapped to the width, behind a prefix.
func (o Options) paragraph(b *bytes.Buffer, s style, prefix, text string) {
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
	case timeline.Evicted:
		return "forgotten"
	}
	return Clean(fmt.Sprintf("%s, %s", c.ClosedBy, strings.ToUpper(string(c.Close))))
}
