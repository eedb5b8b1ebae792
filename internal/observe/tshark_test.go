package observe_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kax/internal/capture"
	"kax/internal/need"
	"kax/internal/observe"
	"kax/internal/timeline"
)

// observed returns the events of a capture.
func observed(t *testing.T, path string) (events []*timeline.Event) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file, err := capture.NewFile(f, path)
	if err != nil {
		t.Fatal(err)
	}
	o := observe.Observer{Emit: func(r timeline.Record) {
		if r.Event != nil {
			events = append(events, r.Event.Clone())
		}
	}}
	if err := o.Read(file, 0, func() error { return nil }); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	o.Finish(0)
	return events
}

// messages are what the http lane has: the packet, and the method or status.
func messages(events []*timeline.Event) (found []string) {
	for _, e := range events {
		switch {
		case e.Request != nil:
			found = append(found, fmt.Sprintf("%d %s", e.Packet, e.Method))
		case e.Response != nil:
			found = append(found, fmt.Sprintf("%d %d", e.Packet, e.Status))
		}
	}
	return found
}

// Of each message the packet with its head is the one in which tshark finds it,
// as long as it does not wait for the end of the body.
func TestMessagesAgreeWithTshark(t *testing.T) {
	tshark := need.Tool(t, "tshark")
	// Without the body tshark loses what stands behind it in the same packet, and
	// heads behind a segment that came late: these it is known not to find.
	misses := map[string]int{"example2.pcap": 3, "http-pipelined-40.pcap": 30, "one_tcp_stream.pcap": 2}
	for _, name := range need.Captures() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := need.Capture(t, name)
			out, err := exec.Command(tshark, "-r", path, "-o", "http.desegment_body:FALSE",
				"-Y", "http", "-T", "fields", "-e", "frame.number", "-e", "http.request.method", "-e", "http.response.code").Output()
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for line := range strings.Lines(string(out)) {
				cols := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
				for _, list := range cols[1:] {
					for item := range strings.SplitSeq(list, ",") {
						if item != "" {
							want = append(want, cols[0]+" "+item)
						}
					}
				}
			}
			more, less := differ(messages(observed(t, path)), want)
			if len(more) != misses[name] || len(less) > 0 {
				t.Errorf("not in tshark's: %q\nonly in tshark's: %q", more, less)
			}
		})
	}
}

// With the body, tshark gives the same messages, each in the packet of its end.
func TestMessagesAgreeWithTables(t *testing.T) {
	// Responses whose end is not in the file: tshark waits for it.
	unfinished := map[string][]string{"example2.pcap": {"200", "302"}}
	for _, name := range need.Captures() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := need.Capture(t, name)
			var want []string
			for _, row := range need.Table(t, path) {
				for _, list := range []string{row["http_method"], row["http_status"]} {
					for item := range strings.SplitSeq(list, ",") {
						if item != "" {
							want = append(want, row["frame"]+" "+item)
						}
					}
				}
			}
			kinds := func(all []string) (what []string) {
				for _, m := range all {
					_, kind, _ := strings.Cut(m, " ")
					what = append(what, kind)
				}
				return what
			}
			more, less := differ(kinds(messages(observed(t, path))), kinds(want))
			slices.Sort(more)
			if !slices.Equal(more, unfinished[name]) || len(less) > 0 {
				t.Errorf("not in tshark's: %q\nonly in tshark's: %q", more, less)
			}
		})
	}
}

// Probes, their answers and what was sent again are tshark's, packet by packet,
// but for what is named here.
func TestKindsAgreeWithTshark(t *testing.T) {
	differs := map[string]map[int]string{
		"206_example_c.pcap": {
			// These bytes were in packets 786 and 787: tshark says out of order.
			815: "retransmission",
		},
		"example2.pcap": {
			// The answer to the probe 4269 of one byte: for tshark a Dup ACK, as
			// it acknowledges the byte as data.
			4277: "probe-answer",
			// Not captured before: they fill a hole.
			2507: "fin", 2599: "fin", 3012: "data",
		},
		"sll-http.pcap": {38: "fin", 145: "fin"}, // likewise
		// See tcpka's test: acknowledgments that stand three times in the file.
		"vlan-collisions.pcap": {26: "ack", 27: "ack", 36: "ack", 37: "ack"},
	}
	for _, name := range need.Captures() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := need.Capture(t, name)
			kinds := map[int]string{}
			for _, e := range observed(t, path) {
				if e.Lane == timeline.TCP {
					kinds[e.Packet] = e.Kind
				}
			}
			got := map[int]string{}
			for _, row := range need.Table(t, path) {
				frame, err := strconv.Atoi(row["frame"])
				if err != nil {
					t.Fatal(err)
				}
				for column, kind := range map[string]string{"keep_alive": "probe", "keep_alive_ack": "probe-answer", "retransmission": "retransmission"} {
					if (row[column] != "") != (kinds[frame] == kind) {
						got[frame] = kinds[frame]
					}
				}
			}
			for frame, kind := range got {
				if differs[name][frame] != kind {
					t.Errorf("packet %d is %s, and not for tshark", frame, kind)
				}
			}
			for frame, kind := range differs[name] {
				if got[frame] != kind {
					t.Errorf("packet %d: %s is as tshark has it", frame, kinds[frame])
				}
			}
		})
	}
}

// differ returns what is only in a, and only in b, as often as it is.
func differ(a, b []string) (onlyA, onlyB []string) {
	rest := slices.Clone(b)
	for _, x := range a {
		if i := slices.Index(rest, x); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
		} else {
			onlyA = append(onlyA, x)
		}
	}
	return onlyA, rest
}
