package tcpka

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// HZ is the running kernel's timer ticks a second. The coarse clock is the one
// that moves with them (clock_getres(2)).
func HZ() (int, error) {
	var tick unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &tick); err != nil {
		return 0, fmt.Errorf("clock_getres CLOCK_MONOTONIC_COARSE: %w", err)
	}
	return int((int64(time.Second) + tick.Nano()/2) / tick.Nano()), nil
}
