// Package view shows records: as two lanes side by side, as a plain packet
// list, or as lines of JSON. Records are all it knows.
package view

import (
	"encoding/json"
	"io"
	"slices"

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
	Color   bool
	Width   int // columns
}

func (o Options) shows(kind string) bool {
	return !o.Summary && (len(o.Only) == 0 || slices.Contains(o.Only, kind))
}

// JSON writes each record as a line.
type JSON struct {
	enc  *json.Encoder
	opts Options
}

// NewJSON returns a view that writes to w.
func NewJSON(w io.Writer, o Options) *JSON {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &JSON{enc, o}
}

// Record writes r.
func (v *JSON) Record(r timeline.Record) error {
	if r.Event != nil && !v.opts.shows(r.Event.Kind) || r.Step != nil && v.opts.Summary {
		return nil
	}
	return v.enc.Encode(r)
}
