//go:build !linux

package capture

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Live captures on Linux only.
type Live struct{}

// OpenLive is Linux's.
func OpenLive() (*Live, error) {
	return nil, fmt.Errorf("live capture: %w on %s", errors.ErrUnsupported, runtime.GOOS)
}

// Start is Linux's.
func (*Live) Start(Filter) error { return errors.ErrUnsupported }

// Next is Linux's.
func (*Live) Next(time.Duration) (Packet, bool, error) { return Packet{}, false, errors.ErrUnsupported }

// Dropped is Linux's.
func (*Live) Dropped() (int, error) { return 0, errors.ErrUnsupported }

// Close is Linux's.
func (*Live) Close() error { return errors.ErrUnsupported }

// Latency is Linux's.
const Latency = 0 * time.Second
