package cli

import (
	"bufio"
	"fmt"
	"io"
	"sync"

	"kax/internal/timeline"
	"kax/internal/view"
)

// slowOutput shows records beside whoever makes them: an output that cannot keep
// up, as a terminal that is stopped, holds nothing up. Events for which there is
// no room are left out, and in the end connections, and that is said.
type slowOutput struct {
	queue    chan timeline.Record
	failed   chan struct{} // closed when nobody takes the output any more
	done     sync.WaitGroup
	err      error // why
	left     int   // records left out since the last that was not
	leftLast timeline.Seconds
}

// queued is how many records may wait.
const queued = 1 << 13

func newSlowOutput(w io.Writer, show func(io.Writer) view.View) *slowOutput {
	o := &slowOutput{queue: make(chan timeline.Record, queued), failed: make(chan struct{})}
	out := bufio.NewWriterSize(w, 1<<16)
	v := show(out)
	o.done.Go(func() {
		for r := range o.queue {
			if o.err != nil {
				continue
			}
			if o.err = v.Record(r); o.err == nil && len(o.queue) == 0 {
				o.err = out.Flush()
			}
			if o.err != nil {
				close(o.failed)
			}
		}
		if o.err == nil {
			o.err = out.Flush()
		}
	})
	return o
}

// record keeps a copy of r until it can be shown.
func (o *slowOutput) record(r timeline.Record) {
	switch n := len(o.queue); {
	case r.Event != nil && n >= queued/2: // the rest is for what says more
		o.left, o.leftLast = o.left+1, r.Event.At
		return
	case r.Conn != nil && n >= queued-2: // what is said of those left out, and the summary
		o.left, o.leftLast = o.left+1, r.Conn.Ended
		return
	case r.Event != nil:
		o.sayLeft()
		r.Event = r.Event.Clone()
	}
	o.queue <- r
}

func (o *slowOutput) sayLeft() {
	if o.left > 0 {
		o.queue <- timeline.Record{Step: &timeline.Step{
			At: o.leftLast, Name: "left out", Text: fmt.Sprintf("%s: the output was too slow for them", timeline.Count(o.left, "record")),
		}}
		o.left = 0
	}
}

// end waits until everything has been shown.
func (o *slowOutput) end() error {
	o.sayLeft()
	close(o.queue)
	o.done.Wait()
	return o.err
}
