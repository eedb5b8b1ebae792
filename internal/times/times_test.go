package times_test

import (
	"math"
	"testing"
	"time"

	"kax/internal/times"
)

const us = time.Microsecond

func TestBrief(t *testing.T) {
	for _, test := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0 µs"},
		{400, "0 µs"},
		{-400, "0 µs"},
		{1500, "2 µs"},
		{31 * us, "31 µs"},
		{-31 * us, "-31 µs"},
		{999*us + 400, "999 µs"},
		{999*us + 600, "1 ms"},
		{time.Millisecond, "1 ms"},
		{1234 * us, "1.23 ms"},
		{12345 * us, "12.3 ms"},
		{99940 * us, "99.9 ms"},
		{99960 * us, "100 ms"},
		{100400 * us, "100 ms"},
		{999400 * us, "999 ms"},
		{999700 * us, "1.00 s"},
		{time.Second, "1.00 s"},
		{1024117 * us, "1.02 s"},
		{-1024117 * us, "-1.02 s"},
		{99994 * time.Millisecond, "99.99 s"},
		{99999 * time.Millisecond, "1m40s"},
		{100400 * time.Millisecond, "1m40s"},
		{2 * time.Minute, "2m"},
		{2*time.Hour + 600*time.Millisecond, "2h0m1s"},
		{math.MinInt64, "-2562047h47m16.854775807s"},
	} {
		if got := times.Brief(test.d); got != test.want {
			t.Errorf("Brief(%d) = %q, want %q", test.d, got, test.want)
		}
	}
}

func TestClock(t *testing.T) {
	for _, test := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0s"},
		{500 * us, "500µs"},
		{2500 * us, "2.5ms"},
		{500 * time.Millisecond, "500ms"},
		{2500*time.Millisecond + 400*us, "2.5s"},
		{10 * time.Second, "10s"},
		{time.Minute, "1m"},
		{75 * time.Second, "1m15s"},
		{10 * time.Minute, "10m"},
		{350 * time.Second, "5m50s"},
		{2 * time.Hour, "2h"},
		{2*time.Hour + time.Second, "2h0m1s"},
		{2*time.Hour + 10*time.Minute, "2h10m"},
		{7331072 * time.Millisecond, "2h2m11.072s"},
		{-2 * time.Hour, "-2h"},
	} {
		grain := time.Millisecond
		if test.d.Abs() < 10*grain {
			grain = us
		}
		got := times.Clock(test.d)
		if back, err := time.ParseDuration(got); got != test.want || err != nil || back != test.d.Round(grain) {
			t.Errorf("Clock(%d) = %q, want %q", test.d, got, test.want)
		}
	}
}
