package view

import (
	"bytes"
	"io"

	"kax/internal/timeline"
)

// text is what the views for people have in common: a header before their
// lines, a summary after them, and http events beside the packet that carries
// them.
type text struct {
	w     io.Writer
	buf   bytes.Buffer
	opts  Options
	held  []*timeline.Event // http events whose packet comes next
	conns []timeline.Conn   // for the table of the summary, no more than maxRows

	exchanges []timeline.Exchange // likewise
	lab       *timeline.Lab       // what it has shown comes after the table
}

// maxRows is how many connections the table of the summary has.
const maxRows = 100

// lines writes the lines of a view.
type lines interface {
	step(*bytes.Buffer, *timeline.Step)
	// row writes a tcp event with the http events that its packet carries, or,
	// without one, a single http event.
	row(b *bytes.Buffer, tcp *timeline.Event, http ...*timeline.Event)
}

// record shows r by a view's lines.
func (v *text) record(r timeline.Record, l lines) error {
	b := &v.buf
	b.Reset()
	if r.Event != nil {
		v.event(b, r.Event, l)
	} else {
		v.release(b, l)
	}
	switch {
	case r.Header != nil:
		v.opts.header(b, r.Header)
	case r.Step != nil && !v.opts.Summary:
		l.step(b, r.Step)
	case r.Plan != nil:
		v.opts.plan(b, r.Plan)
	case r.Death != nil:
		v.opts.death(b, r.Death)
	case r.Packet != nil:
		v.opts.packet(b, r.Packet)
	case r.Exchange != nil:
		v.exchanges = append(v.exchanges, *r.Exchange)
	case r.Conn != nil:
		if len(v.conns) < maxRows {
			v.conns = append(v.conns, *r.Conn)
		}
	case r.Lab != nil:
		lab := *r.Lab
		v.lab = &lab
	case r.Summary != nil:
		v.opts.exchanges(b, v.exchanges)
		sum := *r.Summary
		if v.lab != nil {
			sum.Verdicts = nil // the same sentences
		}
		v.opts.summary(b, v.conns, &sum)
		if v.lab != nil {
			v.opts.answer(b, v.lab)
		}
	}
	_, err := v.w.Write(b.Bytes())
	return err
}

func (v *text) event(b *bytes.Buffer, e *timeline.Event, l lines) {
	if len(v.held) > 0 && v.held[0].Packet != e.Packet {
		v.release(b, l)
	}
	switch shown := v.opts.shows(e.Kind); {
	case e.Lane == timeline.HTTP && shown:
		v.held = append(v.held, e.Clone())
		if e.Packet == 0 {
			v.release(b, l)
		}
	case e.Lane == timeline.HTTP:
	case shown:
		l.row(b, e, v.held...)
		v.held = v.held[:0]
	default:
		v.release(b, l)
	}
}

// release shows the http events that have no packet beside them.
func (v *text) release(b *bytes.Buffer, l lines) {
	for _, e := range v.held {
		l.row(b, nil, e)
	}
	v.held = v.held[:0]
}
