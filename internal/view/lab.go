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

// question says what a lab asks, where, and with which settings.
func (o Options) question(b *bytes.Buffer, s timeline.Settings) {
	o.paragraph(b, bold, pad("question", labelWidth), Clean(s.Question))
	label := "topology"
	for line := range strings.Lines(s.Topology) {
		line = cut(Clean(strings.TrimRight(line, "\n")), max(o.Width, minWidth)-labelWidth)
		fmt.Fprintf(b, "%s%s\n", o.paint(dim, pad(label, labelWidth)), line)
		label = ""
	}
	for _, r := range s.Runs {
		text := Clean(r.Text)
		for _, end := range []struct {
			name string
			k    *timeline.Keepalive
		}{{"client", r.ClientTCP}, {"server", r.ServerTCP}} {
			if end.k != nil {
				text += "; TCP " + end.name + ": "
				if end.k.Asked.Keepalive {
					text += keepalive(*end.k)
				} else {
					text += options(end.k.Asked)
				}
			}
		}
		name := "run"
		if r.Name != "" {
			name = Clean(r.Name)
		}
		o.paragraph(b, dim, pad(name, labelWidth), strings.TrimPrefix(text, "; "))
	}
	if s.HTTPSettings != nil {
		o.paragraph(b, dim, pad("HTTP", labelWidth), "the server's idle timeout is "+seconds(s.IdleTimeout))
	}
}

// Words for what has become of a lab, or of a sentence of it.
const (
	held         = "held"
	contradicted = "CONTRADICTED"
	verdictWidth = len(contradicted) + 2
)

func verdictOf(ok bool) (string, style) {
	if ok {
		return held, plain
	}
	return contradicted, red
}

// answer writes the sentences that a lab is held against.
func (o Options) answer(b *bytes.Buffer, l *timeline.Lab) {
	o.Width = max(o.Width, minWidth)
	fmt.Fprintln(b)
	o.paragraph(b, bold, "", Clean(l.Question))
	for _, c := range l.Checks {
		word, s := verdictOf(c.Held)
		o.paragraph(b, s, pad(word, verdictWidth), Clean(c.Text))
	}
}

// Labs shows labs, a line for each, and below it what did not hold.
type Labs struct {
	w    io.Writer
	opts Options
}

// NewLabs returns a view that writes to w.
func NewLabs(w io.Writer, o Options) *Labs { return &Labs{w, o} }

// labWidth is for names of labs.
const labWidth = 14

// Record shows r.
func (v *Labs) Record(r timeline.Record) error {
	if r.Lab == nil {
		return nil
	}
	var b bytes.Buffer
	l, name := r.Lab, pad(Clean(r.Lab.Name), labWidth)
	switch {
	case l.LabResult == nil:
		v.opts.paragraph(&b, bold, name, Clean(l.Question))
	case l.Unable:
		v.opts.paragraph(&b, plain, name+pad("cannot run", verdictWidth), Clean(l.Error))
	case l.Error != "":
		v.opts.paragraph(&b, red, name+pad("failed", verdictWidth), Clean(l.Error))
	default:
		word, s := verdictOf(l.Held)
		line := fmt.Sprintf("%s%s%2d of %2d checks  %6.1fs  %s", name, pad(word, verdictWidth),
			len(l.Checks)-len(l.Contradicted()), len(l.Checks), time.Duration(l.Lasted).Seconds(), Clean(l.Question))
		if utf8.RuneCountInString(line) > v.opts.Width {
			line = cut(line, v.opts.Width)
		}
		fmt.Fprintln(&b, v.opts.paint(s, line))
		for _, text := range l.Contradicted() {
			v.opts.paragraph(&b, plain, strings.Repeat(" ", labWidth), Clean(text))
		}
	}
	_, err := v.w.Write(b.Bytes())
	return err
}
