//go:build !unix && !windows

package tcpka

import (
	"errors"
	"fmt"
	"runtime"
)

func setFD(uintptr, Settings) error {
	return fmt.Errorf("keepalive times of one socket on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func getFD(uintptr) (Settings, error) {
	return Settings{}, fmt.Errorf("keepalive times of one socket on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
