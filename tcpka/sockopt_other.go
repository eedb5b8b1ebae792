//go:build !linux && !darwin && !freebsd && !netbsd && !dragonfly && !solaris && !windows

package tcpka

import (
	"errors"
	"fmt"
	"runtime"
)

// OpenBSD has SO_KEEPALIVE but sets its times by sysctl only, for the whole
// machine: settings of one socket cannot be honoured there.
func setFD(uintptr, Settings) error {
	return fmt.Errorf("keepalive times of one socket on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func getFD(uintptr) (Settings, error) {
	return Settings{}, fmt.Errorf("keepalive times of one socket on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
