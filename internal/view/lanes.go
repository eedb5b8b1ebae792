package view

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"kax/internal/timeline"
)

// Lanes shows the two mechanisms side by side: TCP left, HTTP right.
type Lanes struct {
	text
	isn   map[stream]uint32 // first sequence numbers, to show relative ones
	over  []int             // connections that are, the oldest first: their numbers are forgotten in the end
	begun bool              // the headings have been written
}

// maxOver is how many connections that are over keep their relative numbers: a
// few packets may follow.
const maxOver = 1000

// stream is one direction of a connection.
type stream struct {
	conn int
	side timeline.Side
}

// Columns. What is left of the width is the HTTP lane's.
const (
	minWidth     = 60
	leftWidth    = 17 // time, connection, arrow
	meaningWidth = 25
	moreWidth    = 30  // seq, ack and len
	wideFrom     = 112 // shows them
)

// NewLanes returns a view that writes to w.
func NewLanes(w io.Writer, o Options) *Lanes {
	o.Width = max(o.Width, minWidth)
	return &Lanes{text: text{w: w, opts: o}, isn: map[stream]uint32{}}
}

func (v *Lanes) tcpWidth() int {
	if v.opts.Width >= wideFrom {
		return meaningWidth + moreWidth
	}
	return meaningWidth
}

func (v *Lanes) httpWidth() int { return v.opts.Width - leftWidth - v.tcpWidth() - len(" | ") }

// Record shows r.
func (v *Lanes) Record(r timeline.Record) error {
	if e := r.Event; e != nil && e.Segment != nil && (e.Kind == "syn" || e.Kind == "syn-ack") {
		v.isn[stream{e.Conn, e.Side}] = e.Seq
	}
	if r.Conn != nil {
		v.over = append(v.over, r.Conn.ID)
		if len(v.over) > maxOver {
			delete(v.isn, stream{v.over[0], timeline.Client})
			delete(v.isn, stream{v.over[0], timeline.Server})
			v.over = v.over[1:]
		}
	}
	return v.record(r, v)
}

func (v *Lanes) headings(b *bytes.Buffer) {
	if v.begun {
		return
	}
	v.begun = true
	other := "HTTP: may it carry another request?"
	if v.opts.TCPOnly {
		other = "as planned?"
	}
	line := fmt.Sprintf("%8s  %4s   %s │ %s", "time", "conn",
		pad("TCP: is the peer there?", v.tcpWidth()), cut(other, v.httpWidth()))
	fmt.Fprintf(b, "\n%s\n", v.opts.paint(bold, line))
}

func (v *Lanes) step(b *bytes.Buffer, s *timeline.Step) {
	v.headings(b)
	line := cut(fmt.Sprintf("── %s: %s ", Clean(s.Name), Clean(s.Text)), v.opts.Width)
	line += strings.Repeat("─", max(0, v.opts.Width-len([]rune(line))))
	fmt.Fprintf(b, "%s\n", v.opts.paint(bold, line))
}

// row puts a packet and the first event that it carries on one line.
func (v *Lanes) row(b *bytes.Buffer, tcp *timeline.Event, http ...*timeline.Event) {
	v.headings(b)
	e, meaning, more, tcpStyle := tcp, "", "", plain
	if tcp != nil {
		meaning, tcpStyle = tcpMeaning(tcp), styleOf(tcp.Kind)
		if v.opts.Width >= wideFrom {
			more = pad(v.more(tcp), moreWidth)
		}
	} else {
		e = http[0]
		more = strings.Repeat(" ", v.tcpWidth()-meaningWidth)
	}
	left := fmt.Sprintf("%8.3f  %4s %s ", time.Duration(e.At).Seconds(), fmt.Sprintf("#%d", e.Conn), arrow(e.Side))
	rest, httpStyle := []string{""}, plain
	if tcp != nil && tcp.Due != nil && v.opts.TCPOnly {
		rest = wrap([]string{planned(tcp)}, "  ", v.httpWidth())
	}
	if len(http) > 0 {
		over := utf8.RuneCountInString(left) - leftWidth // a late moment, a high number
		rest, httpStyle = wrap(httpMeaning(http[0]), "  ", max(v.httpWidth()-over, 1)), styleOf(http[0].Kind)
	}
	for i, text := range rest {
		if i > 0 {
			left, meaning, more = strings.Repeat(" ", utf8.RuneCountInString(left)), "", strings.Repeat(" ", v.tcpWidth()-meaningWidth)
		}
		line := left + v.opts.paint(tcpStyle, pad(meaning, meaningWidth)) + v.opts.paint(dim, more) +
			" │ " + v.opts.paint(httpStyle, strings.TrimRight(text, " "))
		fmt.Fprintf(b, "%s\n", strings.TrimRight(line, " "))
	}
	for i := 1; i < len(http); i++ {
		v.row(b, nil, http[i])
	}
}

// planned says how late a probe came, after what its settings ask for, and how
// late the kernel's timers let it be.
func planned(e *timeline.Event) string {
	late, most := time.Duration(e.At-e.Due.Earliest), time.Duration(e.Due.Latest-e.Due.Earliest)
	blur := time.Duration(0)
	if e.Segment == nil {
		blur = timeline.CountersBlur
	}
	switch {
	case late < -blur:
		return fmt.Sprintf("%s too early", timeline.Brief(-late))
	case late > most+blur:
		return fmt.Sprintf("%s late; at most %s planned", timeline.Brief(late), timeline.Brief(most))
	case late < 0 || late > most:
		return "yes, as far as counters show"
	}
	return fmt.Sprintf("yes: %s late of at most %s", timeline.Brief(late), timeline.Brief(most))
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
