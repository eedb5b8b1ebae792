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
	text
	begun bool // the headings have been written
}

// NewList returns a view that writes to w.
func NewList(w io.Writer, o Options) *List { return &List{text: text{w: w, opts: o}} }

// Record shows r.
func (v *List) Record(r timeline.Record) error { return v.record(r, v) }

func (v *List) step(*strings.Builder, *timeline.Step) {}

func (v *List) row(b *strings.Builder, tcp *timeline.Event, http ...*timeline.Event) {
	if !v.begun {
		v.begun = true
		line := fmt.Sprintf("%5s %10s  %-21s %-21s %-5s %s", "no.", "time", "source", "destination", "flags", "meaning")
		fmt.Fprintf(b, "\n%s\n", v.opts.paint(bold, line))
	}
	e, meanings := tcp, []string{}
	if tcp != nil {
		meanings = append(meanings, tcpMeaning(tcp))
	} else {
		e = http[0]
	}
	for _, h := range http {
		meanings = append(meanings, strings.Join(httpMeaning(h), "  "))
	}
	number, src, dst, flags := "", fmt.Sprintf("#%d %s", e.Conn, Clean(string(e.Side))), "", "-"
	if e.Packet > 0 {
		number = fmt.Sprint(e.Packet)
	}
	if e.Segment != nil {
		src, dst, flags = e.Src.String(), e.Dst.String(), Clean(e.Flags)
	}
	fmt.Fprintf(b, "%5s %10.6f  %-21s %-21s %-5s %s\n",
		number, time.Duration(e.At).Seconds(), src, dst, flags, v.opts.paint(styleOf(e.Kind), strings.Join(meanings, ": ")))
}
