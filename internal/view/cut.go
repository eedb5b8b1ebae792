package view

import (
	"fmt"
	"io"
	"strings"
	"time"

	"kax/internal/timeline"
)

// Cut shows the connections that a middlebox would cut silently, each with what
// to do about it, and apart from them those that nothing is known of.
type Cut struct {
	w      io.Writer
	opts   Options
	limit  time.Duration
	cut    strings.Builder
	apart  strings.Builder
	total  int
	unread reasons
}

// NewCut returns a view that writes to w.
func NewCut(w io.Writer, o Options) *Cut { return &Cut{w: w, opts: o} }

// Record takes r.
func (v *Cut) Record(r timeline.Record) error {
	switch s := r.Socket; {
	case r.Header != nil:
		v.limit = time.Duration(r.Header.Settings.CutBy)
	case s == nil:
	case s.Cut != "":
		v.total++
		fmt.Fprintf(&v.cut, "%s: %s\n", name(s), Clean(s.Cut))
		if s.Fix != "" {
			fmt.Fprintf(&v.cut, "    %s\n", Clean(s.Fix))
		}
	default:
		v.unread.add(s.Unread)
		fmt.Fprintf(&v.apart, "%s: %s\n", name(s), Clean(s.Unread))
	}
	return nil
}

// name is a connection and who has it.
func name(s *timeline.Socket) string {
	text := Clean(s.Local.String()) + " → " + Clean(s.Peer.String())
	if s.PID == 0 || s.FD == nil {
		return text
	}
	return fmt.Sprintf("%s  %s[%d] fd %d", text, Clean(s.Process), s.PID, *s.FD)
}

// End writes what there is.
func (v *Cut) End() error {
	var b strings.Builder
	verb := "connections would be"
	if v.total == 1 {
		verb = "connection would be"
	}
	fmt.Fprintf(&b, "%s\n", v.opts.paint(bold, fmt.Sprintf("%d established %s cut silently by an idle timeout of %v", v.total, verb, v.limit)))
	b.WriteString(v.cut.String())
	if v.unread.total > 0 {
		fmt.Fprintf(&b, "\n%s\n", v.opts.paint(bold, fmt.Sprintf("%d more, of which it is not known", v.unread.total)))
		b.WriteString(v.apart.String())
	}
	b.WriteByte('\n')
	v.opts.paragraph(&b, plain, "", "This is by each socket's own settings, while it is idle. What cannot be seen from here: the peer's probes and the application's own traffic also keep a path open.")
	_, err := io.WriteString(v.w, b.String())
	return err
}
