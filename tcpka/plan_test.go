package tcpka_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"kax/tcpka"
)

func plan(t testing.TB, hz int, idle, interval, count int, userTimeout time.Duration) tcpka.Plan {
	t.Helper()
	p, err := tcpka.NewPlan(tcpka.Settings{
		Enabled: true, Idle: time.Duration(idle) * time.Second, Interval: time.Duration(interval) * time.Second,
		Count: count, UserTimeout: userTimeout,
	}, hz)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// rounding is what a figure of two decimals may be off.
const rounding = 6 * time.Millisecond

func within(w tcpka.Window, d time.Duration) bool {
	return d >= w.Earliest-rounding && d <= w.Latest+rounding
}

// Measured on Linux 6.18 with HZ=250: a peer that has vanished.
func TestPlanOfDeath(t *testing.T) {
	for _, m := range []struct {
		idle, interval, count, userTimeout int // the last in milliseconds
		probes                             int
		death                              float64
	}{
		{1, 1, 5, 0, 5, 6.12},
		{2, 1, 3, 0, 3, 5.08},
		{1, 3, 2, 0, 2, 7.18},
		{1, 1, 9, 3500, 3, 4.08},
		{1, 1, 2, 5000, 4, 5.10},
		{2, 5, 9, 1500, 1, 7.21},
		{1, 1, 9, 500, 1, 2.05},
		{5, 3, 2, 0, 2, 11.39},
		{5, 3, 1, 0, 1, 8.32},
	} {
		p := plan(t, 250, m.idle, m.interval, m.count, time.Duration(m.userTimeout)*time.Millisecond)
		at, least, most := p.Death()
		if !within(at, seconds(m.death)) || m.probes < least || m.probes > most {
			t.Errorf("%v: death at %v after %d to %d probes, measured %v s and %d", p.Settings(), at, least, most, m.death, m.probes)
		}
		if m.interval <= m.idle && at.Latest-at.Earliest > 600*time.Millisecond {
			t.Errorf("%v: death at %v says too little", p.Settings(), at)
		}
	}
}

// Measured with idle = interval: the first probe, and from probe to probe.
func TestPlanOfProbes(t *testing.T) {
	for _, m := range []struct {
		hz, idle    int
		granule     float64
		first, last float64 // of the first probe
		period      float64
	}{
		{250, 1, 0.032, 1.002, 1.032, 1.024},
		{250, 2, 0.032, 2.002, 2.030, 2.016},
		{250, 5, 0.256, 5.014, 5.243, 5.120},
		{250, 10, 0.256, 10.03, 10.25, 10.240},
		{250, 15, 0.256, 15.05, 15.25, 15.104},
		{250, 20, 2.048, 20.00, 21.72, 20.480},
		{250, 30, 2.048, 30.38, 32.00, 30.720},
		{250, 60, 2.048, 60.02, 61.76, 61.440},
		{250, 75, 2.048, 75.11, 77.04, 75.776},
		{250, 140, 16.384, 140.5, 156.3, 147.456},
		{250, 300, 16.384, 300.7, 316.3, 311.296}, // period computed
		{1000, 15, 0.512, 15, 15.5, 15.36},        // computed
		{1000, 75, 4.096, 75, 79, 77.824},
	} {
		p := plan(t, m.hz, m.idle, m.idle, 9, 0)
		first, every := p.First(), p.Every()
		if want := (tcpka.Window{Earliest: seconds(float64(m.idle)), Latest: seconds(float64(m.idle) + m.granule)}); first != want {
			t.Errorf("%v: first %v, want %v", p.Settings(), first, want)
		}
		if !within(first, seconds(m.first)) || !within(first, seconds(m.last)) {
			t.Errorf("%v: first %v, measured %v to %v s", p.Settings(), first, m.first, m.last)
		}
		if !every.Exact() || every.Earliest != seconds(m.period) {
			t.Errorf("%v: every %v, measured %v s", p.Settings(), every, m.period)
		}
	}
}

// Measured: a socket whose settings change 3 s after it last heard its peer.
func TestPlanOfChange(t *testing.T) {
	const changed = 3 * time.Second
	for _, m := range []struct {
		from, to int
		probe    float64
	}{
		{30, 5, 5.009},
		{30, 2, 3.004},
		{5, 9, 9.136},
	} {
		w := plan(t, 250, m.to, 75, 9, 0).Rearmed(changed)
		w.Earliest += changed
		w.Latest += changed
		if !within(w, seconds(m.probe)) {
			t.Errorf("idle %d to %d s: probe at %v, measured %v s", m.from, m.to, w, m.probe)
		}
	}
	// The interval changed while its timer runs: that timer stays.
	start := time.Unix(1e9, 0)
	earliest, latest := plan(t, 250, 2, 10, 9, 0).Next(start, start.Add(seconds(2.02)))
	if m := start.Add(seconds(12.2)); m.Before(earliest) || m.After(latest) {
		t.Errorf("the interval of before: %v to %v, measured 12.2 s", earliest.Sub(start), latest.Sub(start))
	}
}

// simulated is a keepalive timer, jiffy by jiffy, as kernel/time/timer.c and
// net/ipv4/tcp_timer.c have it.
type simulated struct {
	idle, interval int64
	now, heard     int64
}

// sleep sets the timer and lets it fire (calc_wheel_index, calc_index).
func (s *simulated) sleep(distance int64) {
	expires := s.now + distance
	shift := 0
	for distance >= 63<<shift {
		shift += 3
	}
	s.now = (expires>>shift + 1) << shift
}

// probe runs from a timer that has been set to the next probe.
func (s *simulated) probe(timer int64) {
	s.sleep(timer)
	for s.now-s.heard < s.idle {
		s.sleep(s.idle - (s.now - s.heard))
	}
}

// What the plan says holds from every moment at which a connection can begin,
// whatever the settings.
func TestPlanHoldsForEveryPhase(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	exact := 0
	for range 400 {
		hz := []int{100, 250, 300, 1000}[random.IntN(4)]
		idle, interval := 1+random.IntN(150), 1+random.IntN(150)
		p := plan(t, hz, idle, interval, 3, 0)
		jiffy := time.Second / time.Duration(hz)
		check := func(what string, w tcpka.Window, jiffies int64) {
			t.Helper()
			// One more or less is where within its jiffy something happened.
			if d := time.Duration(jiffies) * time.Second / time.Duration(hz); d < w.Earliest-jiffy || d > w.Latest+jiffy {
				t.Fatalf("hz %d, idle %d, interval %d: %s after %v, planned %v", hz, idle, interval, what, d, w)
			}
		}
		every := p.Every()
		if every.Exact() {
			exact++
		}
		for range 200 {
			s := simulated{idle: int64(idle * hz), interval: int64(interval * hz), now: int64(random.IntN(1 << 21))}
			s.heard = s.now
			opened := s.now
			s.probe(s.idle)
			check("first probe", p.First(), s.now-opened)
			for n := range 5 {
				s.heard = s.now
				s.probe(s.interval)
				if n > 0 { // the first puts them on the ticks of their timer
					check("answered probe", every, s.now-s.heard)
				}
				check("silence", tcpka.Window{Latest: p.Silence()}, s.now-s.heard)
			}
			for n := 2; n < 6; n++ {
				check(fmt.Sprint("unanswered probe ", n-1), p.Unanswered(n-1), s.now-s.heard)
				s.probe(s.interval)
			}
		}
	}
	if exact < 200 {
		t.Errorf("only %d of 400 plans say an exact period", exact)
	}
}

// And so does when a peer is given up, whatever was heard from it before.
func TestPlanOfDeathHoldsForEveryPhase(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		hz := []int{100, 250, 300, 1000}[random.IntN(4)]
		idle, interval, count := 1+random.IntN(60), 1+random.IntN(60), 1+random.IntN(5)
		if random.IntN(4) == 0 {
			idle += random.IntN(1500)
		}
		var limit time.Duration
		if random.IntN(3) > 0 {
			limit = time.Duration(1+random.IntN(300_000)) * time.Millisecond
		}
		p := plan(t, hz, idle, interval, count, limit)
		at, least, most := p.Death()
		jiffy := time.Second / time.Duration(hz)
		for range 60 {
			s := simulated{idle: int64(idle * hz), interval: int64(interval * hz), now: int64(random.IntN(1 << 24))}
			s.heard = s.now
			timer := s.idle
			for range random.IntN(4) { // probes that are answered
				s.probe(timer)
				s.heard, timer = s.now, s.interval
			}
			probes := 0
			for {
				s.probe(timer)
				timer = s.interval
				elapsed := time.Duration(s.now-s.heard) * time.Second / time.Duration(hz)
				if limit > 0 && elapsed >= limit && probes > 0 || limit == 0 && probes >= count {
					break
				}
				probes++
			}
			after := time.Duration(s.now-s.heard) * time.Second / time.Duration(hz)
			if after < at.Earliest-jiffy || after > at.Latest+jiffy || probes < least || probes > most {
				t.Fatalf("hz %d, %v: dead after %v and %d probes, planned %v and %d to %d", hz, p.Settings(), after, probes, at, least, most)
			}
		}
	}
}

// The windows of a death are no wider than the timers make them.
func TestPlanOfDeathIsTight(t *testing.T) {
	for _, tc := range []struct {
		userTimeout time.Duration
		want        tcpka.Window
		least, most int
	}{
		{0, tcpka.Window{Earliest: seconds(6.096), Latest: seconds(6.16)}, 5, 5},
		{2500 * time.Millisecond, tcpka.Window{Earliest: seconds(3.024), Latest: seconds(3.088)}, 2, 2},
		{3050 * time.Millisecond, tcpka.Window{Earliest: seconds(3.05), Latest: seconds(4.082)}, 2, 3},
	} {
		at, least, most := plan(t, 250, 1, 1, 5, tc.userTimeout).Death()
		if at != tc.want || least != tc.least || most != tc.most {
			t.Errorf("user timeout %v: %v and %d to %d probes, want %v and %d to %d", tc.userTimeout, at, least, most, tc.want, tc.least, tc.most)
		}
	}
}

// After an answered probe an interval longer than the idle time has to pass.
func TestPlanNextAfterAnAnswer(t *testing.T) {
	start := time.Unix(1e9, 0)
	earliest, latest := plan(t, 250, 2, 10, 9, 0).Next(start.Add(time.Millisecond), start)
	if earliest.Sub(start) != 10*time.Second || latest.Sub(start) != seconds(10.256) {
		t.Errorf("%v to %v, want 10s to 10.256s", earliest.Sub(start), latest.Sub(start))
	}
}

func TestPlanRefuses(t *testing.T) {
	good := tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 1}
	for name, change := range map[string]func(*tcpka.Settings, *int){
		"off":         func(s *tcpka.Settings, _ *int) { s.Enabled = false },
		"no idle":     func(s *tcpka.Settings, _ *int) { s.Idle = 0 },
		"no interval": func(s *tcpka.Settings, _ *int) { s.Interval = 0 },
		"no count":    func(s *tcpka.Settings, _ *int) { s.Count = 0 },
		"fraction":    func(s *tcpka.Settings, _ *int) { s.Idle = 1500 * time.Millisecond },
		"hz":          func(_ *tcpka.Settings, hz *int) { *hz = 0 },
	} {
		s, hz := good, 250
		change(&s, &hz)
		_, err := tcpka.NewPlan(s, hz)
		if err == nil || (name == "fraction" || name == "hz") && !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// The longest idle time that passes a middlebox: its probe comes in time, and
// that of one second more does not.
func TestIdleBelow(t *testing.T) {
	for limit, want := range map[int]int{350: 333, 60: 57, 5: 4, 2: 1, 240: 223, 7440: 7308} {
		idle, ok := tcpka.IdleBelow(time.Duration(limit)*time.Second, 250)
		if !ok || idle != time.Duration(want)*time.Second {
			t.Errorf("below %d s: idle %v, %v, want %d s", limit, idle, ok, want)
		}
	}
	if idle, ok := tcpka.IdleBelow(time.Second, 250); ok {
		t.Errorf("below 1 s: idle %v", idle)
	}
}

func BenchmarkPlan(b *testing.B) {
	b.ReportAllocs()
	s := tcpka.Settings{Enabled: true, Idle: 2 * time.Hour, Interval: 75 * time.Second, Count: 9}
	for b.Loop() {
		p, err := tcpka.NewPlan(s, 250)
		if err != nil {
			b.Fatal(err)
		}
		_ = p.Silence()
	}
}
