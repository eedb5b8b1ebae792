// Package view shows records: as two lanes side by side, as a plain packet
// list, or as lines of JSON. Records are all it knows.
package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"kax/internal/timeline"
)

// A View shows records one by one, in their order.
type View interface {
	Record(timeline.Record) error
}

// Options say what to show, and how.
type Options struct {
	Only    []string // kinds of events; empty is all
	Summary bool     // no events at all
	TCPOnly bool     // nothing is to be said of HTTP; what was planned takes its place
	Color   bool
	Width   int  // columns
	Uncut   bool // lines of a table may be longer
	Height  int  // lines of a terminal on which a table is drawn over the one before; 0 is none
}

func (o Options) shows(kind string) bool {
	return !o.Summary && (len(o.Only) == 0 || slices.Contains(o.Only, kind))
}

// JSON writes each record as a line, in which nothing but printable
// characters stand: the rest is escaped as JSON has it, so that a terminal may
// show the line.
type JSON struct {
	w    io.Writer
	buf  bytes.Buffer
	enc  *json.Encoder
	opts Options
}

// NewJSON returns a view that writes to w.
func NewJSON(w io.Writer, o Options) *JSON {
	v := &JSON{w: w, opts: o}
	v.enc = json.NewEncoder(&v.buf)
	v.enc.SetEscapeHTML(false)
	return v
}

// Record writes r.
func (v *JSON) Record(r timeline.Record) error {
	if r.Event != nil && !v.opts.shows(r.Event.Kind) || r.Step != nil && v.opts.Summary {
		return nil
	}
	v.buf.Reset()
	if err := v.enc.Encode(r); err != nil {
		return err
	}
	_, err := v.w.Write(printable(v.buf.Bytes()))
	return err
}

// printable escapes what encoding/json leaves as it is: DEL, the C1 controls,
// direction marks. Outside of strings JSON has none of these.
func printable(line []byte) []byte {
	if plainText(line[:len(line)-1]) {
		return line
	}
	out := make([]byte, 0, len(line)+32)
	for _, r := range string(line[:len(line)-1]) {
		switch {
		case unicode.IsPrint(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return append(out, '\n')
}
