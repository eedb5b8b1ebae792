//go:build !linux

package tcpka

import (
	"errors"
	"fmt"
	"runtime"
)

// HZ finds Linux's timer ticks a second; no other system tells.
func HZ() (int, error) {
	return 0, fmt.Errorf("kernel timer ticks on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
