package timeline_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"kax/internal/timeline"
	"kax/tcpka"
)

// A death is told with what the timeline knows, and leaves its mark on the
// connection and in the verdicts.
func TestDeath(t *testing.T) {
	timedOut := timeline.Death{Errno: "ETIMEDOUT", Text: "connection timed out", Poll: []string{"IN"}, Then: "end of file", Write: "EPIPE"}
	with := func(unanswered int, quiet timeline.Seconds) timeline.Death {
		d := timedOut
		d.Unanswered, d.Quiet = unanswered, quiet
		return d
	}
	for _, test := range []struct {
		name    string
		hz      int
		side    int
		probes  int
		death   timeline.Death
		want    timeline.Death
		by      timeline.Side
		how     timeline.CloseHow
		verdict string
	}{
		{"as planned", 250, fromClient, 3, with(3, ms(4100)), with(3, ms(4100)), timeline.Client, timeline.Timeout,
			"#1 ended 4.10 s after the peer was last heard, with 3 probes unanswered, as planned: 3, after 4.05 s to 4.11 s."},
		{"the server's", 250, fromServer, 3, with(3, ms(4100)), with(3, ms(4100)), timeline.Server, timeline.Timeout,
			"#1 ended 4.10 s after the peer was last heard, with 3 probes unanswered, as planned: 3, after 4.05 s to 4.11 s."},
		{"too few probes", 250, fromClient, 2, with(2, ms(4100)), with(2, ms(4100)), timeline.Client, timeline.Timeout,
			"#1 ended 4.10 s after the peer was last heard, with 2 probes unanswered, not as planned: 3, after 4.05 s to 4.11 s."},
		{"too early", 250, fromClient, 3, with(3, ms(4000)), with(3, ms(4000)), timeline.Client, timeline.Timeout,
			"#1 ended 4.00 s after the peer was last heard, with 3 probes unanswered, not as planned: 3, after 4.05 s to 4.11 s."},
		{"no plan", 0, fromClient, 3, with(3, ms(4100)), with(3, ms(4100)), timeline.Client, timeline.Timeout,
			"#1 ended 4.10 s after the peer was last heard, with 3 probes unanswered."},
		{"a socket that does not know", 250, fromClient, 3, timedOut, with(3, ms(4102.99)), timeline.Client, timeline.Timeout,
			"#1 ended 4.10 s after the peer was last heard, with 3 probes unanswered, as planned: 3, after 4.05 s to 4.11 s."},
		{"reset", 250, fromClient, 1, timeline.Death{Errno: "ECONNRESET", Unanswered: 1, Quiet: 1}, timeline.Death{Errno: "ECONNRESET", Unanswered: 1, Quiet: 1},
			timeline.Server, timeline.ByRST, ""},
		{"end of file", 250, fromServer, 0, timeline.Death{Quiet: 1}, timeline.Death{Quiet: 1}, timeline.Client, timeline.ByFIN, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, predicted(keepalive(time.Second, time.Second), test.hz))
			c := w.talk(40000).open()
			for n := range test.probes {
				w.now = epoch.Add(time.Duration(n+1) * 1024 * time.Millisecond)
				c.infer(test.side, tcpka.Probe)
			}
			w.now = epoch.Add(4103 * time.Millisecond)
			c.dies(test.side, test.death)
			sum := w.finish()
			test.want.At, test.want.Conn, test.want.Lasted = ms(4103), 1, ms(4103)
			var got []timeline.Death
			for _, r := range w.records {
				if r.Death != nil {
					got = append(got, *r.Death)
				}
			}
			if !reflect.DeepEqual(got, []timeline.Death{test.want}) {
				t.Errorf("deaths %+v, want %+v", got, test.want)
			}
			if conn := w.conn(); conn.ClosedBy != test.by || conn.Close != test.how || conn.Ended != ms(4103) {
				t.Errorf("conn %+v, want %s by the %s", conn, test.how, test.by)
			}
			if test.verdict != "" && !slices.Contains(sum.Verdicts, test.verdict) {
				t.Errorf("verdicts %q, want %q", sum.Verdicts, test.verdict)
			}
		})
	}
}

// A packet that has shown the end is believed before the program.
func TestDeathAfterItsPackets(t *testing.T) {
	w := newWorld(t, predicted(keepalive(time.Second, 0), 250))
	c := w.talk(40000).open()
	w.pass(1010 * time.Millisecond)
	c.probe(fromClient, 0)
	c.rst(fromServer)
	before := w.conn()
	c.dies(fromClient, timeline.Death{Errno: "ECONNRESET"})
	w.finish()
	if after := w.conn(); after != before || after.Close != timeline.ByRST || after.ClosedBy != timeline.Server {
		t.Errorf("before %+v, after %+v", before, after)
	}
}
