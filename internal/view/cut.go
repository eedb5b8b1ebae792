package view

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"kax/internal/timeline"
	"kax/internal/times"
)

// Cut shows the connections that a middlebox would cut silently, each with what
// to do about it, and apart from them those that the kernel is sending on, and
// those that nothing is known of.
type Cut struct {
	w                  io.Writer
	opts               Options
	limit              time.Duration
	leftOut            int // loopback connections
	cut, busy, unknown part
}

// part is some of the connections, and the lines about them.
type part struct {
	strings.Builder
	total int
}

// NewCut returns a view that writes to w.
func NewCut(w io.Writer, o Options) *Cut { return &Cut{w: w, opts: o} }

// Record takes r.
func (v *Cut) Record(r timeline.Record) error {
	switch s := r.Socket; {
	case r.Header != nil:
		v.limit, v.leftOut = time.Duration(r.Header.Settings.CutBy), r.Header.Settings.LoopbackLeftOut
	case s == nil:
	case s.Cut != "":
		v.line(&v.cut, s, s.Cut)
		if s.Fix != "" {
			fmt.Fprintf(&v.cut, "    %s\n", Clean(s.Fix)) // in one piece, to be copied
		}
	case s.Busy != "":
		v.line(&v.busy, s, s.Busy)
	default:
		v.line(&v.unknown, s, s.Unread)
	}
	return nil
}

// line says something of a connection, wrapped on a terminal.
func (v *Cut) line(p *part, s *timeline.Socket, text string) {
	const indent = 2
	p.total++
	text = name(s) + ": " + Clean(text)
	lines := []string{text}
	if !v.opts.Uncut {
		lines = wrap(strings.Fields(text), " ", max(v.opts.Width, minWidth)-indent)
	}
	for i, line := range lines {
		if i > 0 {
			line = strings.Repeat(" ", indent) + line
		}
		fmt.Fprintf(p, "%s\n", line)
	}
}

// name is a connection and who has it.
func name(s *timeline.Socket) string {
	text := Clean(s.Local.String()) + " → " + Clean(s.Peer.String())
	if s.PID == 0 || s.FD == nil {
		return text
	}
	return fmt.Sprintf("%s, %s[%d] fd %d", text, Clean(s.Process), s.PID, *s.FD)
}

// End writes what there is.
func (v *Cut) End() error {
	var b bytes.Buffer
	write := func(title string, p *part) {
		v.opts.title(&b, title)
		b.WriteString(p.String())
	}
	write(fmt.Sprintf("%s would be cut silently by an idle timeout of %s",
		timeline.Count(v.cut.total, "established connection"), times.Clock(v.limit)), &v.cut)
	if n := v.busy.total; n > 0 {
		b.WriteByte('\n')
		write(fmt.Sprintf("%d more %s busy: the kernel is sending on %s", n, be(n), them(n)), &v.busy)
	}
	if n := v.unknown.total; n > 0 {
		b.WriteByte('\n')
		write(fmt.Sprintf("Of %s it is not known: the settings could not be read", timeline.Count(n, "connection")), &v.unknown)
	}
	b.WriteByte('\n')
	if v.leftOut > 0 {
		v.opts.paragraph(&b, plain, "", timeline.Count(v.leftOut, "loopback connection")+" left out (--loopback).")
	}
	v.opts.paragraph(&b, plain, "", "This is by each socket's own settings, while it is idle. What cannot be seen from here: the peer's probes and the application's own traffic also keep a path open.")
	_, err := io.WriteString(v.w, b.String())
	return err
}

// title writes a bold paragraph.
func (o Options) title(b *bytes.Buffer, text string) {
	for _, line := range wrap(strings.Fields(text), " ", max(o.Width, minWidth)) {
		fmt.Fprintf(b, "%s\n", o.paint(bold, line))
	}
}

func be(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}
