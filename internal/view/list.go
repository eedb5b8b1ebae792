package view

import (
	"bytes"
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

func (v *List) step(b *bytes.Buffer, s *timeline.Step) {
	v.headings(b)
	fmt.Fprintf(b, "%s\n", v.opts.paint(bold, fmt.Sprintf("── %s: %s", Clean(s.Name), Clean(s.Text))))
}

func (v *List) headings(b *bytes.Buffer) {
	if !v.begun {
		v.begun = true
		line := fmt.Sprintf("%5s %10s %5s  %-21s %-21s %-5s %s", "no.", "time", "conn", "source", "destination", "flags", "meaning")
		fmt.Fprintf(b, "\n%s\n", v.opts.paint(bold, line))
	}
}

func (v *List) row(b *bytes.Buffer, tcp *timeline.Event, http ...*timeline.Event) {
	v.headings(b)
	e, meanings := tcp, []string{}
	if tcp != nil {
		meanings = append(meanings, tcpMeaning(tcp))
	} else {
		e = http[0]
	}
	for _, h := range http {
		meanings = append(meanings, strings.Join(httpMeaning(h), "  "))
	}
	number, src, dst, flags := "", Clean(string(e.Side)), "", "-"
	if e.Packet > 0 {
		number = fmt.Sprint(e.Packet)
	}
	if e.Segment != nil {
		src, dst, flags = e.Src.String(), e.Dst.String(), Clean(e.Flags)
	}
	fmt.Fprintf(b, "%5s %10.6f %5s  %-21s %-21s %-5s %s\n",
		number, time.Duration(e.At).Seconds(), fmt.Sprintf("#%d", e.Conn), src, dst, flags, v.opts.paint(styleOf(e.Kind), strings.Join(meanings, ": ")))
}
