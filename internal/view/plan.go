package view

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"kax/internal/timeline"
)

// plan says what the kernel will do, and where that keeps a connection.
func (o Options) plan(b *bytes.Buffer, p *timeline.Plan) {
	line := func(label, text string) { o.paragraph(b, dim, pad(label, labelWidth), text) }
	line("settings", o.settings(p.Keepalive))
	line("timers", fmt.Sprintf("Linux's, HZ %d: a single time is exact, a range is what their ticks leave open", p.HZ))
	if p.First == nil {
		line("probes", "none, ever: a connection may stay idle for as long as both ends and all between them let it, and a peer that has gone is noticed when something is sent")
	} else {
		line("answered", fmt.Sprintf("first probe %s after the peer was last heard, then one every %s: %s an hour; quiet for %s at most",
			due(*p.First), due(*p.Every), number(*p.PerHour), seconds(p.Silence)))
		line("unanswered", "probes "+probeTimes(p.Unanswered))
		rule := ""
		if p.Effective.UserTimeout > 0 {
			rule = fmt.Sprintf("; the user timeout (%s) takes the place of the count", seconds(p.Effective.UserTimeout))
		}
		line("given up", fmt.Sprintf("%s after the peer was last heard, %s after it went, with %s unanswered%s",
			due(*p.Death), due(*p.Vanished), unanswered(*p.Probes), rule))
	}
	if len(p.Systems) > 0 {
		o.systems(b, p)
	}
}

// settings says what was asked for and what holds: on a socket, or, where a plan
// stands alone, on one that would be made.
func (o Options) settings(k timeline.Keepalive) string {
	switch {
	case o.TCPOnly:
		return keepalive(k)
	case k.Asked == k.Effective || !k.Effective.Keepalive:
		return options(k.Effective)
	}
	return "asked: " + options(k.Asked) + "; in force: " + options(k.Effective)
}

// The columns of the systems; what the timeout is known from stands on a line
// of its own where the width does not hold it.
const (
	systemWidth  = 30
	timeoutWidth = 8
	fateWidth    = 8
)

func (o Options) systems(b *bytes.Buffer, p *timeline.Plan) {
	row := func(system, timeout, fate string) string {
		return pad(system, systemWidth) + "  " + pad(timeout, timeoutWidth) + " " + pad(fate, fateWidth)
	}
	fmt.Fprintf(b, "\n%s\n", o.paint(bold, strings.TrimRight(row("an idle connection through", "timeout", "is"), " ")))
	for _, s := range p.Systems {
		fate, color := "kept", plain
		switch {
		case s.Kept:
		case s.Counts:
			fate, color = "cut", yellow
		default:
			fate, color = "closed *", dim
		}
		line := row(Clean(s.System), seconds(s.Timeout), fate)
		source := fmt.Sprintf("%s (%d)", Clean(s.Source), s.Year)
		if s.Note != "" {
			source = Clean(s.Note) + "; " + source
		}
		if o.Width-utf8.RuneCountInString(line) > utf8.RuneCountInString(source) {
			fmt.Fprintf(b, "%s %s\n", o.paint(color, line), o.paint(dim, source))
			continue
		}
		fmt.Fprintf(b, "%s\n", o.paint(color, strings.TrimRight(line, " ")))
		o.paragraph(b, dim, "    ", source)
	}
	quiet := "no probe ever comes"
	if p.First != nil {
		quiet = "it is quiet for " + seconds(p.Silence) + " at most, and a probe is a packet"
	}
	fmt.Fprintln(b)
	o.paragraph(b, plain, "", "Timeouts are defaults. NATs, firewalls and layer-4 balancers look at packets: "+quiet+".")
	o.paragraph(b, plain, "* ", "ends the connection itself and goes by the bytes it is sent, and a probe has none: whatever the settings, only traffic keeps it.")
}

// probeTimes lists the first few and the last.
func probeTimes(ws []timeline.Window) string {
	const most = 4
	var parts []string
	for i, w := range ws {
		switch {
		case i < most-1, i == len(ws)-1:
			parts = append(parts, fmt.Sprintf("%d: %s", i+1, due(w)))
		case i == most-1:
			parts = append(parts, "…")
		}
	}
	return strings.Join(parts, "; ")
}

// due writes a window: "30.72s", "30s to 32.048s".
func due(w timeline.Window) string {
	if w.Earliest == w.Latest {
		return seconds(w.Earliest)
	}
	return seconds(w.Earliest) + " to " + seconds(w.Latest)
}

func unanswered(r timeline.Range) string {
	if r.Min == 1 && r.Max == 1 {
		return "1 probe"
	}
	return number(r) + " probes"
}

func number(r timeline.Range) string {
	lo, hi := figure(r.Min), figure(r.Max)
	if lo == hi {
		return lo
	}
	return lo + " to " + hi
}

// figure writes a number with three digits, or all it has before the point.
func figure(f float64) string {
	if f >= 100 {
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.3g", f)
}
