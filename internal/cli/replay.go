package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"kax/internal/timeline"
)

// maxRecord bounds a line of records: a plan has some KiB, a message's target up
// to 64.
const maxRecord = 1 << 20

// replay shows records that were written earlier.
func (r *reading) replay(ctx context.Context) error {
	lines := bufio.NewScanner(r.in)
	lines.Buffer(nil, maxRecord)
	n, known := 0, 0
	for lines.Scan() {
		if n++; n%1024 == 0 {
			if ctx.Err() != nil {
				return stopped(ctx)
			}
			r.progress.tell(n)
		}
		if len(lines.Bytes()) == 0 {
			continue
		}
		var rec timeline.Record
		if err := json.Unmarshal(lines.Bytes(), &rec); err != nil {
			return fmt.Errorf("%s, line %d: no record: %w", r.in.name, n, err)
		}
		if rec == (timeline.Record{}) {
			continue // of a kind that a later kax has added
		}
		known++
		if h := rec.Header; h != nil && h.Schema != timeline.Schema {
			return fmt.Errorf("%s, line %d: records of schema %d: this kax reads those of schema %d", r.in.name, n, h.Schema, timeline.Schema)
		}
		r.record(rec)
		if r.sink.err != nil {
			return nil // it says itself
		}
	}
	if err := lines.Err(); err != nil {
		if ctx.Err() != nil {
			return stopped(ctx)
		}
		return fmt.Errorf("%s, after line %d: %w", r.in.name, n, err)
	}
	if known == 0 {
		return fmt.Errorf("%s: %w", r.in.name, errors.New("no records"))
	}
	return r.checkConn()
}
