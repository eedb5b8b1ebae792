package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"kax/internal/timeline"
	"kax/internal/view"
	"kax/internal/web"
)

// report is the file of --report, or nothing.
type report struct {
	to     *web.Report
	stderr io.Writer
}

// openReport opens it. No file of others is written over: one that is read, or
// that packets are written to.
func (a *app) openReport(f outputFlags, others ...string) (*report, error) {
	if f.report == "" {
		return &report{}, nil
	}
	to, err := web.Open(f.report)
	if err != nil {
		return nil, err // names the file
	}
	for _, name := range others {
		if info, err := os.Stat(name); err == nil && to.Is(info) {
			return nil, errors.Join(usage(errors.New("--report "+f.report+": is the file of the packets")), to.Close())
		}
	}
	return &report{to, a.stderr}, nil
}

// Record shows r.
func (r *report) Record(rec timeline.Record) error {
	if r.to == nil {
		return nil
	}
	return r.to.Record(rec)
}

func (r *report) close() error {
	if r.to == nil {
		return nil
	}
	err := r.to.Close()
	if size, ok := r.to.Opens(); !ok {
		fmt.Fprintf(r.stderr, "kax: the report has %s, more than a browser opens: choose fewer connections or packets\n", megabytes(size))
	}
	return err
}

var _ view.View = (*report)(nil)
