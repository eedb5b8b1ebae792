package view

import (
	"fmt"
	"io"
	"strings"
	"time"

	"kax/internal/timeline"
)

// List shows one line a packet: number, time, source, destination, flags and
// meaning.
type List struct {
	w     io.Writer
	opts  Options
	held  []*timeline.Event // http events whose packet comes next
	conns []timeline.Conn
	begun bool
}

// NewList returns a view that writes to w.
func NewList(w io.Writer, o Options) *List { return &List{w: w, opts: o} }

// Record shows r.
func (v *List) Record(r timeline.Record) error {
	var b strings.Builder
	if r.Event == nil {
		v.release(&b)
	}
	switch {
	case r.Header != nil:
		v.opts.header(&b, r.Header)
	case r.Event != nil:
		v.event(&b, r.Event)
	case r.Conn != nil:
		v.conns = append(v.conns, *r.Conn)
	case r.Summary != nil:
		v.opts.summary(&b, v.conns, r.Summary)
	}
	_, err := io.WriteString(v.w, b.String())
	return err
}

func (v *List) event(b *strings.Builder, e *timeline.Event) {
	if !v.opts.shows(e.Kind) {
		return
	}
	if !v.begun {
		v.begun = true
		line := fmt.Sprintf("%5s %10s  %-21s %-21s %-5s %s", "no.", "time", "source", "destination", "flags", "meaning")
		fmt.Fprintf(b, "\n%s\n", v.opts.paint(bold, line))
	}
	if len(v.held) > 0 && v.held[0].Packet != e.Packet {
		v.release(b)
	}
	if e.Lane == timeline.HTTP {
		if e.Packet > 0 && len(v.opts.Only) == 0 {
			v.held = append(v.held, e.Clone())
			return
		}
		v.line(b, e, strings.Join(httpMeaning(e), "  "))
		return
	}
	meaning := tcpMeaning(e)
	for _, h := range v.held {
		meaning += ": " + strings.Join(httpMeaning(h), "  ")
	}
	v.held = v.held[:0]
	v.line(b, e, meaning)
}

// release shows the http events whose packet has not come.
func (v *List) release(b *strings.Builder) {
	for _, e := range v.held {
		v.line(b, e, strings.Join(httpMeaning(e), "  "))
	}
	v.held = v.held[:0]
}

func (v *List) line(b *strings.Builder, e *timeline.Event, meaning string) {
	number, src, dst, flags := "", "", "", ""
	if e.Packet > 0 {
		number = fmt.Sprint(e.Packet)
	}
	if e.Segment != nil {
		src, dst, flags = e.Src.String(), e.Dst.String(), Clean(e.Flags)
	} else {
		src, flags = fmt.Sprintf("#%d %s", e.Conn, Clean(string(e.Side))), "-"
	}
	fmt.Fprintf(b, "%5s %10.6f  %-21s %-21s %-5s %s\n",
		number, time.Duration(e.At).Seconds(), src, dst, flags, v.opts.paint(styleOf(e.Kind), meaning))
}
