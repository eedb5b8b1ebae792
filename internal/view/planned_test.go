package view_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"kax/internal/timeline"
	"kax/internal/view"
)

// Beside a probe stands how it did against its plan. One that was inferred is seen
// only when the counters are read next: near its window is in it.
func TestPlanned(t *testing.T) {
	for _, test := range []struct {
		at       int // ms
		inferred bool
		want     string
	}{
		{2005, false, "yes: 5 ms late of at most 32 ms"},
		{1999, false, "1 ms too early"},
		{2040, false, "40 ms late; at most 32 ms planned"},
		{1999, true, "yes, as far as counters show"},
		{2040, true, "yes, as far as counters show"},
		{1980, true, "20 ms too early"},
	} {
		e := &timeline.Event{
			At: timeline.Seconds(time.Duration(test.at) * time.Millisecond), Conn: 1, Lane: timeline.TCP, Kind: "probe", Side: timeline.Client, Nth: 1,
			Due: &timeline.Window{Earliest: timeline.Seconds(2000 * time.Millisecond), Latest: timeline.Seconds(2032 * time.Millisecond)},
		}
		if !test.inferred {
			e.Segment = &timeline.Segment{}
		}
		only := kind{"lanes", func(w io.Writer, o view.Options) view.View { return view.NewLanes(w, o) }}
		got := string(render(t, only, view.Options{Width: 100, TCPOnly: true}, []timeline.Record{{Event: e}}))
		if !strings.Contains(got, test.want) {
			t.Errorf("%d ms, inferred %v:\n%s\nwant %q", test.at, test.inferred, got, test.want)
		}
	}
}
