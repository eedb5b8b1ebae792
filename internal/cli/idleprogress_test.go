package cli

import (
	"testing"
	"time"

	"kax/httpka"
)

// A bound is shown where it is one.
func TestIdleProgress(t *testing.T) {
	silent := httpka.IdleProgress{Samples: 5, Answered: []time.Duration{2 * time.Second}}
	for _, tc := range []struct {
		elapsed time.Duration
		now     httpka.IdleProgress
		want    string
	}{
		{5 * time.Second, httpka.IdleProgress{}, "5 s: waiting for the first response"},
		{15 * time.Second, httpka.IdleProgress{}, "15 s: waiting for the first response"},
		{5 * time.Second, silent, "5 s of at most 6s: 5 connections open and silent; others still answered after up to 2.00 s"},
		{7 * time.Second, silent, "7 s: 5 connections open and silent; others still answered after up to 2.00 s"},
	} {
		p := idleProgress{upTo: 6 * time.Second, last: tc.now}
		if got := p.text(tc.elapsed); got != tc.want {
			t.Errorf("after %v: %q, want %q", tc.elapsed, got, tc.want)
		}
	}
}
