package view

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"kax/internal/timeline"
)

// Lanes shows the two mechanisms side by side: TCP left, HTTP right.
type Lanes struct {
	w     io.Writer
	opts  Options
	held  []*timeline.Event // http events whose packet comes next
	isn   map[stream]uint32 // first sequence numbers, to show relative ones
	conns []timeline.Conn   // for the table of the summary
	begun bool              // the headings have been written
}

// stream is one direction of a connection.
type stream struct {
	conn int
	side timeline.Side
}

// Columns. What is left of the width is the HTTP lane's.
const (
	minWidth  = 60
	leftWidth = 17 // time, connection, arrow
	tcpWidth  = 25
	moreWidth = 30  // seq, ack and len
	wideFrom  = 112 // shows them
)

// NewLanes returns a view that writes to w.
func NewLanes(w io.Writer, o Options) *Lanes {
	o.Width = max(o.Width, minWidth)
	return &Lanes{w: w, opts: o, isn: map[stream]uint32{}}
}

func (v *Lanes) tcpWidth() int {
	if v.opts.Width >= wideFrom {
		return tcpWidth + moreWidth
	}
	return tcpWidth
}

func (v *Lanes) httpWidth() int { return v.opts.Width - leftWidth - v.tcpWidth() - len(" | ") }

// Record shows r.
func (v *Lanes) Record(r timeline.Record) error {
	var b strings.Builder
	if r.Event == nil {
		v.release(&b)
	}
	switch {
	case r.Header != nil:
		v.opts.header(&b, r.Header)
	case r.Step != nil:
		v.step(&b, r.Step)
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

func (v *Lanes) headings(b *strings.Builder) {
	if v.begun || v.opts.Summary {
		return
	}
	v.begun = true
	line := fmt.Sprintf("%8s  %4s   %s │ %s", "time", "conn",
		pad("TCP: is the peer there?", v.tcpWidth()), cut("HTTP: may it carry another request?", v.httpWidth()))
	fmt.Fprintf(b, "\n%s\n", v.opts.paint(bold, line))
}

func (v *Lanes) step(b *strings.Builder, s *timeline.Step) {
	if v.opts.Summary {
		return
	}
	v.headings(b)
	line := cut(fmt.Sprintf("── %s: %s ", Clean(s.Name), Clean(s.Text)), v.opts.Width)
	line += strings.Repeat("─", max(0, v.opts.Width-len([]rune(line))))
	fmt.Fprintf(b, "%s\n", v.opts.paint(bold, line))
}

func (v *Lanes) event(b *strings.Builder, e *timeline.Event) {
	// An event waits for its own packet only: a filter may have taken that.
	if len(v.held) > 0 && (v.held[0].Packet != e.Packet || !v.opts.shows(e.Kind)) {
		v.release(b)
	}
	if e.Lane == timeline.HTTP {
		if v.opts.shows(e.Kind) {
			v.held = append(v.held, e.Clone())
		}
		if e.Packet == 0 {
			v.release(b)
		}
		return
	}
	if e.Segment != nil && (e.Kind == "syn" || e.Kind == "syn-ack") {
		v.isn[stream{e.Conn, e.Side}] = e.Seq
	}
	if !v.opts.shows(e.Kind) {
		return
	}
	var carried *timeline.Event
	if len(v.held) > 0 {
		carried, v.held = v.held[0], v.held[1:]
	}
	v.row(b, e, carried)
	v.release(b)
}

// release shows the http events that have no packet beside them.
func (v *Lanes) release(b *strings.Builder) {
	for _, e := range v.held {
		v.row(b, nil, e)
	}
	v.held = v.held[:0]
}

// row shows a tcp event, an http event, or both where one carries the other.
func (v *Lanes) row(b *strings.Builder, tcp, http *timeline.Event) {
	v.headings(b)
	e, meaning, more, tcpStyle := tcp, "", "", plain
	if tcp != nil {
		meaning, tcpStyle = tcpMeaning(tcp), styleOf(tcp.Kind)
		if v.opts.Width >= wideFrom {
			more = pad(v.more(tcp), moreWidth)
		}
	} else {
		e = http
		more = strings.Repeat(" ", v.tcpWidth()-tcpWidth)
	}
	left := fmt.Sprintf("%8.3f  %4s %s ", time.Duration(e.At).Seconds(), fmt.Sprintf("#%d", e.Conn), arrow(e.Side))
	rest, httpStyle := []string{""}, plain
	if http != nil {
		over := utf8.RuneCountInString(left) - leftWidth // a late moment, a high number
		rest, httpStyle = wrap(httpMeaning(http), "  ", max(v.httpWidth()-over, 1)), styleOf(http.Kind)
	}
	for i, text := range rest {
		if i > 0 {
			left, meaning, more = strings.Repeat(" ", utf8.RuneCountInString(left)), "", strings.Repeat(" ", v.tcpWidth()-tcpWidth)
		}
		line := left + v.opts.paint(tcpStyle, pad(meaning, tcpWidth)) + v.opts.paint(dim, more) +
			" │ " + v.opts.paint(httpStyle, strings.TrimRight(text, " "))
		fmt.Fprintf(b, "%s\n", strings.TrimRight(line, " "))
	}
}

// more gives a packet's numbers, relative where the handshake was seen.
func (v *Lanes) more(e *timeline.Event) string {
	if e.Segment == nil {
		return ""
	}
	peer := timeline.Server
	if e.Side == timeline.Server {
		peer = timeline.Client
	}
	seq := e.Seq - v.isn[stream{e.Conn, e.Side}]
	ack := e.Ack - v.isn[stream{e.Conn, peer}]
	if !strings.Contains(e.Flags, "A") {
		return fmt.Sprintf("seq %d len %d", seq, e.Len)
	}
	return fmt.Sprintf("seq %d ack %d len %d", seq, ack, e.Len)
}
