package view

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"time"

	"kax/internal/timeline"
)

// Details shows single sockets, a block for each: what it has, what was changed
// about it, or how its peer took a poke. An idle timeout is
// a block too, and so is a race.
type Details struct {
	w     io.Writer
	opts  Options
	begun bool // a block has been written
}

// NewDetails returns a view that writes to w.
func NewDetails(w io.Writer, o Options) *Details { return &Details{w: w, opts: o} }

// Record shows r.
func (v *Details) Record(r timeline.Record) error {
	var b bytes.Buffer
	switch {
	case r.Socket != nil:
		v.socket(&b, r.Socket)
	case r.Change != nil:
		v.change(&b, r.Change)
	case r.Poke != nil:
		v.poke(&b, r.Poke)
	case r.Idle != nil:
		v.idle(&b, r.Idle)
	case r.Race != nil:
		v.race(&b, r.Race)
	default:
		return nil
	}
	v.begun = true
	_, err := io.WriteString(v.w, b.String())
	return err
}

// title says which socket it is.
func (v *Details) title(b *bytes.Buffer, o timeline.Owner, state string, local, peer netip.AddrPort) {
	if v.begun {
		fmt.Fprintln(b)
	}
	text := fmt.Sprintf("%s, process %d, descriptor %d:", Clean(o.Process), o.PID, o.FD)
	if state != "" {
		text += " " + Clean(state)
	}
	text += " " + local.String()
	if peer.IsValid() {
		text += " → " + peer.String()
	}
	v.opts.paragraph(b, plain, "", text)
}

func (v *Details) line(b *bytes.Buffer, name, text string) {
	if text != "" {
		v.opts.paragraph(b, plain, "  "+pad(name, labelWidth)+"  ", text)
	}
}

func (v *Details) socket(b *bytes.Buffer, s *timeline.Socket) {
	o := timeline.Owner{PID: s.PID, Process: s.Process}
	if s.FD != nil {
		o.FD = *s.FD
	}
	v.title(b, o, s.State, s.Local, s.Peer)
	if s.Keepalive != nil && s.KeepaliveTimes != nil {
		k := s.KeepaliveTimes
		now := timeline.KeepaliveOptions{Keepalive: *s.Keepalive, Idle: k.Idle, Interval: k.Interval, Count: k.Count, UserTimeout: k.UserTimeout}
		v.options(b, now, now)
	}
	if s.LastReceived != nil && s.LastAck != nil {
		v.line(b, "last heard", timeline.Brief(time.Duration(min(*s.LastReceived, *s.LastAck)))+" ago")
	}
	if s.ProbesOut > 0 {
		v.line(b, "unanswered", timeline.Count(s.ProbesOut, "probe"))
	}
	v.line(b, "next", Clean(s.Next))
}

func (v *Details) change(b *bytes.Buffer, c *timeline.Change) {
	v.title(b, c.Owner, c.State, c.Local, c.Peer)
	v.options(b, c.Before, c.After)
	v.line(b, "next", Clean(c.Next))
}

// options names each by its flag, and shows what it was where that differs.
func (v *Details) options(b *bytes.Buffer, before, after timeline.KeepaliveOptions) {
	was, is := optionTexts(before), optionTexts(after)
	for i, name := range []string{"keepalive", "keepidle", "keepintvl", "keepcnt", "user-timeout"} {
		text := is[i]
		if was[i] != is[i] {
			text = was[i] + " → " + is[i]
		}
		v.line(b, name, text)
	}
}

func optionTexts(k timeline.KeepaliveOptions) [5]string {
	on, timeout := "off", "none"
	if k.Keepalive {
		on = "on"
	}
	if k.UserTimeout > 0 {
		timeout = seconds(k.UserTimeout)
	}
	return [5]string{on, seconds(k.Idle), seconds(k.Interval), fmt.Sprint(k.Count), timeout}
}

func (v *Details) poke(b *bytes.Buffer, p *timeline.Poke) {
	v.title(b, p.Owner, "", p.Local, p.Peer)
	text := Clean(p.Result)
	switch p.Result {
	case "answered":
		text = "answered within " + timeline.Brief(time.Duration(p.After)) + ": the peer is alive"
	case "unanswered":
		text = "unanswered after " + timeline.Brief(time.Duration(p.Waited)) +
			": the peer is gone, or the way there; or the probe was lost, or its answer takes longer (--wait)"
	case "reset":
		text = "reset: the peer is there, and knows no such connection"
	}
	v.opts.paragraph(b, plain, "  ", text)
	if p.Note != "" {
		v.opts.paragraph(b, plain, "  ", Clean(p.Note))
	}
}
