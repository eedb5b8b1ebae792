package timeline_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"kax/internal/timeline"
	"kax/tcpka"
)

func ms(n float64) timeline.Seconds { return timeline.Seconds(n * float64(time.Millisecond)) }

// The record has what the library plans.
func TestNewPlan(t *testing.T) {
	s := tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 2}
	got, err := timeline.NewPlan(tcpka.Settings{Enabled: true, Count: 2}, s, 250)
	if err != nil {
		t.Fatal(err)
	}
	want := &timeline.Plan{
		Keepalive: timeline.Keepalive{Asked: timeline.KeepaliveOptions{Keepalive: true, Count: 2}, Effective: timeline.Options(s)},
		HZ:        250,
		First:     &timeline.Window{Earliest: ms(1000), Latest: ms(1032)},
		Every:     &timeline.Window{Earliest: ms(1024), Latest: ms(1024)},
		Silence:   ms(1032),
		PerHour:   &timeline.Range{Min: 3515.625, Max: 3515.625},
		Unanswered: []timeline.Window{
			{Earliest: ms(1000), Latest: ms(1032)},
			{Earliest: ms(2000), Latest: ms(2064)},
		},
		Probes:   &timeline.Range{Min: 2, Max: 2},
		Death:    &timeline.Window{Earliest: ms(3024), Latest: ms(3088)},
		Vanished: &timeline.Window{Earliest: ms(2024), Latest: ms(3088)},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	off, err := timeline.NewPlan(tcpka.Settings{}, tcpka.Settings{Idle: time.Hour}, 250)
	if err != nil || off.First != nil || off.Death != nil || off.Effective.Idle != timeline.Seconds(time.Hour) {
		t.Errorf("keepalive off: %+v, %v", off, err)
	}
	if _, err := timeline.NewPlan(s, s, 0); err == nil {
		t.Error("a plan without ticks")
	}
}

// due returns what each probe was predicted for.
func (w *world) due() (all []*timeline.Window) {
	for _, r := range w.records {
		if r.Event != nil && r.Event.Kind == "probe" {
			all = append(all, r.Event.Due)
		}
	}
	return all
}

// A probe is predicted by when its side last heard the peer and last probed.
func TestDue(t *testing.T) {
	w := newWorld(t, predicted(keepalive(time.Second, 0), 250))
	c := w.talk(40000).open() // the SYN-ACK is heard at 10 µs
	w.now = epoch.Add(1010 * time.Millisecond)
	c.answered(fromClient) // the answer at 1010.01 ms
	w.now = epoch.Add(1500 * time.Millisecond)
	c.data(fromServer, 10) // heard at 1500 ms: the timer goes on
	w.now = epoch.Add(2532 * time.Millisecond)
	c.probe(fromClient, 0)
	w.now = epoch.Add(3556 * time.Millisecond)
	c.probe(fromClient, 0)
	c.probe(fromServer, 0) // of a side without keepalive
	want := []*timeline.Window{
		{Earliest: ms(1000.01), Latest: ms(1032.01)},
		{Earliest: ms(2500), Latest: ms(2532)},
		{Earliest: ms(3532), Latest: ms(3564)},
		nil,
	}
	if got := w.due(); !reflect.DeepEqual(got, want) {
		for i := range got {
			t.Errorf("probe %d due %v, want %v", i+1, got[i], want[i])
		}
	}
}

// Without packets nothing is heard before the connection is open.
func TestDueFromCounters(t *testing.T) {
	h := predicted(keepalive(time.Second, time.Second), 250)
	h.Source = timeline.Counters
	w := newWorld(t, h)
	c := w.talk(40000)
	c.infer(fromClient, tcpka.Established)
	w.now = epoch.Add(1035 * time.Millisecond)
	c.infer(fromClient, tcpka.Probe)
	c.infer(fromServer, tcpka.Probe)
	both := &timeline.Window{Earliest: ms(1000), Latest: ms(1032)}
	if got := w.due(); !reflect.DeepEqual(got, []*timeline.Window{both, both}) {
		t.Errorf("due %v", got)
	}
	// 3 ms is what lies between two readings.
	if v := w.finish().Verdicts; !slices.Contains(v, "All 2 probes came in the windows that the settings and the kernel's timers give them.") {
		t.Errorf("verdicts %q", v)
	}
}

// A probe that a busy machine saw late, by more than what usually lies between
// two readings, is not compared with the plan, nor is one that is planned from
// it; after an answer all is known again.
func TestNoPlanForABlur(t *testing.T) {
	h := predicted(keepalive(time.Second, time.Second), 250)
	h.Source = timeline.Counters
	w := newWorld(t, h)
	c := w.talk(40000)
	c.infer(fromClient, tcpka.Established)
	for _, p := range []struct {
		at   time.Duration
		blur time.Duration
		kind tcpka.Kind
		from int
	}{
		{1090 * time.Millisecond, 90 * time.Millisecond, tcpka.Probe, fromClient},
		{2030 * time.Millisecond, 5 * time.Millisecond, tcpka.Probe, fromClient},
		{2030 * time.Millisecond, 0, tcpka.ProbeAnswer, fromServer},
		{3040 * time.Millisecond, 5 * time.Millisecond, tcpka.Probe, fromClient},
	} {
		w.now = epoch.Add(p.at)
		w.tracker.Infer(w.now, timeline.Inferred{Client: c.addr[fromClient], Server: c.addr[fromServer], FromServer: p.from == fromServer, Kind: p.kind, Blur: p.blur})
	}
	want := []*timeline.Window{nil, nil, {Earliest: ms(3030), Latest: ms(3062)}}
	if got := w.due(); !reflect.DeepEqual(got, want) {
		t.Errorf("due %v, want %v", got, want)
	}
}

func TestNoPlanWithoutTicks(t *testing.T) {
	w := newWorld(t, keepalive(time.Second, time.Second))
	c := w.talk(40000).open()
	w.pass(1010 * time.Millisecond)
	c.answered(fromClient)
	if got := w.due(); !reflect.DeepEqual(got, []*timeline.Window{nil}) {
		t.Errorf("due %v", got)
	}
}

// How the prediction did is said as it was.
func TestPlannedVerdicts(t *testing.T) {
	for _, test := range []struct {
		name string
		at   []float64 // ms, of probes that are answered
		want string
	}{
		{"one in", []float64{1020}, "The probe came in the window that the settings and the kernel's timers give it."},
		{"two in", []float64{1020, 2044}, "All 2 probes came in the windows that the settings and the kernel's timers give them."},
		{"one early", []float64{990.01}, "The probe came outside the window that the settings and the kernel's timers give it, by 10 ms."},
		{"one late", []float64{1020, 2100}, "1 of 2 probes came outside the windows that the settings and the kernel's timers give, by 48 ms at most."},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, predicted(keepalive(time.Second, 0), 250))
			c := w.talk(40000).open()
			for _, at := range test.at {
				w.now = epoch.Add(time.Duration(ms(at)))
				c.answered(fromClient)
			}
			if v := w.finish().Verdicts; !slices.Contains(v, test.want) {
				t.Errorf("verdicts %q, want %q", v, test.want)
			}
		})
	}
}
