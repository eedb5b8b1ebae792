package lab

import (
	"fmt"
	"slices"
	"time"

	"kax/internal/timeline"
	"kax/tcpka"
)

func slowClockLab() Lab {
	return Lab{
		Name:     "slow-clock",
		Question: "why is the probe late?",
		Teaches: "The kernel keeps its timers in a wheel whose slots grow with the distance: a timer fires in the first slot after its time, never before. " +
			"So a probe is late by up to a slot, and answered probes fall into step with the slots: always late by the same.",
		World: "With 250 timer ticks a second a slot is 32 ms for a second, 256 ms from 2 s to 16 s, 2 s up to 2 min, 16 s up to 17 min: Linux's 2 h are rounded to slots of 131 s (kernel/time/timer.c, Linux 6.18, 2025). " +
			"`kax tcp plan` says it for any settings; who has to beat a timeout must allow for it.",
		Topology: "client ──── server",
		Settings: Settings{TCP: tcpka.Settings{Enabled: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 9}},
		Runs: func(s Settings) []Variant {
			variants := []Variant{}
			for _, idle := range []time.Duration{time.Second, 2 * time.Second, s.TCP.Idle} {
				t := s.TCP
				if idle != t.Idle {
					t.Idle, t.Interval = idle, idle
				}
				v := Variant{Name: fmt.Sprintf("%ds", idle/time.Second), Text: fmt.Sprintf("a probe every %v is asked for", idle), Client: t}
				if !slices.Contains(variants, v) {
					variants = append(variants, v)
				}
			}
			return variants
		},
		Run: func(b *Bench) error {
			var watch time.Duration // two probes of the slowest
			for _, r := range b.Runs {
				plan, err := r.plan(r.Client)
				if err != nil {
					return err
				}
				watch = max(watch, plan.First().Latest+plan.Every().Latest+slack)
			}
			return b.Each(func(r *Run) error { return slowClock(r, watch) })
		},
	}
}

// manyProbes are some of which at least one comes when the timer fires.
const manyProbes = 5

func slowClock(r *Run, watch time.Duration) error {
	_, _, c, _, err := r.Connected()
	if err != nil {
		return err
	}
	name := Named(c)
	plan, err := r.plan(r.Client)
	if err != nil {
		return err
	}
	r.Step(r.Name, "#%d: %s", r.Story(name).N, r.Text)
	if err := r.Sleep(watch); err != nil {
		return err
	}
	s := r.Story(name)
	var after []time.Duration // from when the server was last heard, and then from probe to probe
	var heard, probed *timeline.Event
	planned := true
	for _, e := range s.Of("syn-ack", "probe", "probe-answer").Events {
		if e.Kind != "probe" {
			heard = e
			continue
		}
		last := probed
		if probed == nil {
			last = heard
		}
		after = append(after, between(last, e))
		planned = planned && inPlan(plan, heard, probed, e)
		probed = e
	}
	first, every := plan.First(), plan.Every()
	if len(after) < 2 {
		r.Check(false, "only %s in %s.", timeline.Count(len(after), "probe"), timeline.Brief(watch))
		return nil
	}
	asked, usual, ms := max(r.Client.Idle, r.Client.Interval), median(after[1:]), time.Millisecond
	slot := first.Latest - first.Earliest
	// A busy machine delays some, not all: the steps of many are told from those of
	// other slots.
	if steps := after[1:]; len(after) >= manyProbes {
		planned = planned && slices.Min(steps) <= every.Latest+slot/4 && slices.Max(steps) >= every.Earliest-slot/4
	}
	r.Check(planned, "%s, asked for every %v: the first after %v, planned was %v; then one every %v, planned was %v. They are %v late, of a slot of %v.",
		timeline.Count(len(after), "probe"), asked, after[0].Round(ms), first, usual.Round(ms), every, (usual - asked).Round(ms), slot)
	return nil
}

// inPlan reports whether a probe came when it was due, by when the server was last
// heard and when the probe before it was sent, nil where there was none.
func inPlan(p tcpka.Plan, heard, probed, probe *timeline.Event) bool {
	began := time.Unix(0, 0)
	at := func(e *timeline.Event) time.Time { return began.Add(time.Duration(e.At)) }
	var before time.Time
	if probed != nil {
		before = at(probed)
	}
	earliest, latest := p.Next(at(heard), before)
	return !at(probe).Before(earliest.Add(-lag)) && !at(probe).After(latest.Add(slack))
}

// median is the middle one.
func median(all []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}
