package timeline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kax/httpka"
	"kax/internal/timeline"
)

// proven writes what a verdict stands on: the messages and segments of its
// packets, and its connections.
func (w *world) proven(sum timeline.Summary, verdict string) string {
	w.t.Helper()
	i := slices.IndexFunc(sum.Verdicts, func(v string) bool { return strings.Contains(v, verdict) })
	if i < 0 {
		w.t.Fatalf("no verdict with %q: %q", verdict, sum.Verdicts)
	}
	var kinds []string
	for _, number := range sum.Proofs[i].Packets {
		kind := ""
		for _, r := range w.records {
			if e := r.Event; e != nil && e.Packet == number && kind == "" {
				kind = e.Kind
			}
		}
		kinds = append(kinds, fmt.Sprintf("%d %s", number, kind))
	}
	return fmt.Sprintf("%s; %d", strings.Join(kinds, ", "), sum.Proofs[i].Conns)
}

// A verdict names the packets that prove it.
func TestProofs(t *testing.T) {
	w := newWorld(t, keepalive(time.Second, 0))
	for port := range uint16(2) { // packets 1 to 10, 11 to 20
		c := w.talk(40000 + port).open()
		c.get(false, "close")
		c.close(fromServer)
	}
	c := w.talk(50000).open() // 21 to 23
	c.get(false, "")          // 24 to 27
	c.get(true, "")           // 28 to 31
	w.pass(1014 * time.Millisecond)
	c.answered(fromClient) // 32, 33
	w.pass(500 * time.Millisecond)
	c.tell(httpka.Event{Kind: httpka.IdleClose, FromServer: true})
	c.close(fromServer) // 34 to 36
	sum := w.finish()
	for verdict, want := range map[string]string{
		"carried one request each": "6 response, 16 response; [1 2]",
		"used connection #3":       "24 request, 28 request; [3]",
		"crossed connection #3":    "32 probe, 33 probe-answer; [3]",
		"its idle timeout":         "30 response, 33 probe-answer, 34 idle-close; [3]",
		"The probe came":           "32 probe; [3]",
	} {
		if got := w.proven(sum, verdict); got != want {
			t.Errorf("%q is proven by %s, want %s", verdict, got, want)
		}
	}
	if len(sum.Proofs) != len(sum.Verdicts) {
		t.Errorf("%d proofs of %d verdicts", len(sum.Proofs), len(sum.Verdicts))
	}
}

// Without packets connections are named; and however many there are, a proof ends.
func TestProofsAreBounded(t *testing.T) {
	h := keepalive(0, 0)
	h.Source = timeline.Counters
	w := newWorld(t, h)
	for port := range uint16(200) {
		c := w.talk(40000 + port)
		c.tell(httpka.Event{Kind: httpka.Request, Method: "GET"})
		c.tell(httpka.Event{Kind: httpka.Response, FromServer: true, Connection: "close"})
		c.tell(httpka.Event{Kind: httpka.IdleClose, FromServer: true})
	}
	sum := w.finish()
	for i, p := range sum.Proofs {
		if len(p.Packets) > 0 || len(p.Conns) > 64 {
			t.Errorf("%q: %d packets, %d connections", sum.Verdicts[i], len(p.Packets), len(p.Conns))
		}
	}
	if !slices.ContainsFunc(sum.Proofs, func(p timeline.Proof) bool { return len(p.Conns) == 64 }) {
		t.Errorf("no proof by connections: %q %v", sum.Verdicts, sum.Proofs)
	}
}
