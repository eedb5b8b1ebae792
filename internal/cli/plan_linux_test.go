package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kax/internal/known"
	"kax/internal/timeline"
)

func planned(t *testing.T, cmd ...string) records {
	t.Helper()
	res := run(t, kax(asIs, append([]string{"tcp", "plan", "--json"}, cmd...)...))
	if res.code != 0 || res.stderr != "" || strings.Count(res.stdout, "\n") != 2 {
		t.Fatal(res)
	}
	r := parseOpen(t, res)
	if r.header == nil || r.plan == nil || r.header.Command != "tcp plan" || r.header.Source != "" {
		t.Fatal(res)
	}
	return r
}

func holds(w *timeline.Window, seconds float64) bool {
	s := timeline.Seconds(seconds * float64(time.Second))
	return w != nil && w.Earliest <= s && s <= w.Latest
}

// Measured deaths lie in what is planned, with as many probes (FACTS).
func TestPlanOfDeaths(t *testing.T) {
	t.Parallel()
	measured := []float64{6.12, 5.08, 7.18, 4.08, 5.10, 7.21, 2.05}
	for i, d := range deaths {
		p := planned(t, append(withKeepalive(d.idle, d.interval, d.count, d.userTimeout), "--hz", "250")...).plan
		if !holds(p.Death, measured[i]) || p.Probes.Min > float64(d.probes) || p.Probes.Max < float64(d.probes) || len(p.Unanswered) != int(p.Probes.Max) {
			t.Errorf("%v: dead at %v with %v probes %v, measured %v s with %d", d, p.Death, p.Probes, p.Unanswered, measured[i], d.probes)
		}
	}
}

// The period of probes that are answered, measured at HZ 250 and computed for
// 1000 (FACTS).
func TestPlanOfPeriods(t *testing.T) {
	t.Parallel()
	for _, p := range []struct {
		seconds, hz int
		every       string
	}{
		{1, 250, "1.024s"}, {2, 250, "2.016s"}, {5, 250, "5.12s"}, {10, 250, "10.24s"}, {15, 250, "15.104s"},
		{20, 250, "20.48s"}, {30, 250, "30.72s"}, {60, 250, "1m1.44s"}, {75, 250, "1m15.776s"}, {140, 250, "2m27.456s"},
		{15, 1000, "15.36s"}, {75, 1000, "1m17.824s"},
	} {
		s := fmt.Sprint(p.seconds)
		got := planned(t, "--keepidle", s, "--keepintvl", s, "--hz", fmt.Sprint(p.hz)).plan
		if every := time.Duration(got.Every.Earliest); every.String() != p.every || got.Every.Latest != got.Every.Earliest || got.HZ != p.hz {
			t.Errorf("every %d s at HZ %d: %v to %v, want %s", p.seconds, got.HZ, every, time.Duration(got.Every.Latest), p.every)
		}
		if got.First.Earliest != timeline.Seconds(p.seconds)*timeline.Seconds(time.Second) {
			t.Errorf("first probe of %d s: %v", p.seconds, got.First)
		}
	}
}

// What is not given is this machine's: its sysctls, and its timer ticks.
func TestPlanOfTheSystemsSettings(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	setSysctls(t, 301, 32, 7)
	want := timeline.KeepaliveOptions{Keepalive: true, Idle: timeline.Seconds(301 * time.Second), Interval: timeline.Seconds(32 * time.Second), Count: 7}
	p := planned(t).plan
	if p.Effective != want || p.Asked != (timeline.KeepaliveOptions{Keepalive: true}) || p.HZ < 24 {
		t.Errorf("%+v, want %+v", p.Keepalive, want)
	}
	want.Interval = timeline.Seconds(3 * time.Second)
	want.UserTimeout = timeline.Seconds(1500 * time.Millisecond)
	if p = planned(t, "--keepintvl", "3", "--user-timeout", "1500ms").plan; p.Effective != want {
		t.Errorf("%+v, want %+v", p.Effective, want)
	}
}

// Which systems an idle connection outlives, by its longest silence.
func TestPlanThroughSystems(t *testing.T) {
	t.Parallel()
	for _, flags := range []string{"--keepidle 60 --keepintvl 10 --keepcnt 3", "--keepidle 300 --keepintvl 75 --keepcnt 9", "--keepidle 7200 --keepintvl 75 --keepcnt 9", "--no-keepalive"} {
		p := planned(t, append(strings.Fields(flags), "--hz", "250")...).plan
		if len(p.Systems) != len(known.Systems()) {
			t.Fatalf("%d systems", len(p.Systems))
		}
		kept := 0
		for i, s := range known.Systems() {
			got := p.Systems[i]
			want := s.ProbesCount() && p.First != nil && time.Duration(p.Silence) < s.IdleTimeout
			if got.System != s.Name || got.Kept != want || got.Counts != s.ProbesCount() || got.Timeout != timeline.Seconds(s.IdleTimeout) || got.Year != s.Year {
				t.Errorf("%s: %+v", flags, got)
			}
			if got.Kept {
				kept++
			}
		}
		if off := strings.HasPrefix(flags, "--no"); off != (kept == 0) && !strings.Contains(flags, "7200") {
			t.Errorf("%s: %d systems keep it", flags, kept)
		}
		if strings.HasPrefix(flags, "--no") && (p.Every != nil || p.Death != nil || p.Probes != nil || p.Unanswered != nil || p.Effective.Keepalive) {
			t.Errorf("%s: %+v", flags, p)
		}
	}
}

func TestPlanAsText(t *testing.T) {
	t.Parallel()
	for flags, wants := range map[string][]string{
		"--keepidle 60 --keepintvl 10 --keepcnt 3 --hz 250":  {"1m to 1m2.048s", "every 1m1.44s", "HZ 250", "given up", "kept", "closed *"},
		"--keepidle 1 --keepintvl 1 --keepcnt 5 --hz 250":    {"1s to 1.032s", "every 1.024s", "6.096s to 6.16s", "with 5 probes unanswered"},
		"--keepidle 75 --keepintvl 75 --keepcnt 9 --hz 1000": {"every 1m17.824s", "HZ 1000"},
		"--keepidle 2 --keepintvl 5 --user-timeout 1.5":      {"the user timeout (1.5s) takes the place of the count", "with 1 probe unanswered"},
		"--no-keepalive": {"none, ever", "no probe ever comes"},
	} {
		res := run(t, kax(asIs, append([]string{"tcp", "plan"}, strings.Fields(flags)...)...))
		text := strings.Join(strings.Fields(res.stdout), " ")
		if res.code != 0 || res.stderr != "" || strings.Contains(res.stdout, "\x1b") {
			t.Error(res)
		}
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q: %s", flags, want, res)
			}
		}
		for line := range strings.Lines(res.stdout) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
				t.Errorf("%s: %d columns: %s", flags, n, line)
			}
		}
	}
}
