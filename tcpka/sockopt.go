//go:build unix || windows

package tcpka

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"
)

// setFD sets the times before SO_KEEPALIVE: turning keepalive on starts the
// timer with the idle time of that moment.
func setFD(fd uintptr, s Settings) error {
	for _, o := range []struct {
		name       string
		opt, value int
		given      bool
	}{
		{"TCP_KEEPINTVL", optInterval, int(s.Interval / time.Second), s.Interval != 0},
		{"TCP_KEEPCNT", optCount, s.Count, s.Count != 0},
		{"TCP_USER_TIMEOUT", optUserTimeout, int(max(s.UserTimeout, 0) / time.Millisecond), s.UserTimeout != 0},
		{"TCP_KEEPIDLE", optIdle, int(s.Idle / time.Second), s.Idle != 0},
	} {
		switch {
		case !o.given:
			continue
		case o.opt == 0:
			return fmt.Errorf("set %s: %w for one socket on %s", o.name, errors.ErrUnsupported, runtime.GOOS)
		}
		if err := setInt(fd, syscall.IPPROTO_TCP, o.opt, o.value); err != nil {
			return fmt.Errorf("setsockopt %s=%d: %w", o.name, o.value, err)
		}
	}
	on := 0
	if s.Enabled {
		on = 1
	}
	if err := setInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, on); err != nil {
		return fmt.Errorf("setsockopt SO_KEEPALIVE=%d: %w", on, err)
	}
	return nil
}

func getFD(fd uintptr) (Settings, error) {
	var firstErr error
	get := func(name string, level, opt int) int {
		if firstErr != nil || opt == 0 {
			return 0
		}
		v, err := getInt(fd, level, opt)
		if err != nil {
			firstErr = fmt.Errorf("getsockopt %s: %w", name, err)
		}
		return v
	}
	s := Settings{
		// Some BSDs report the flag's own bit rather than 1.
		Enabled:     get("SO_KEEPALIVE", syscall.SOL_SOCKET, syscall.SO_KEEPALIVE) != 0,
		Idle:        time.Duration(get("TCP_KEEPIDLE", syscall.IPPROTO_TCP, optIdle)) * time.Second,
		Interval:    time.Duration(get("TCP_KEEPINTVL", syscall.IPPROTO_TCP, optInterval)) * time.Second,
		Count:       get("TCP_KEEPCNT", syscall.IPPROTO_TCP, optCount),
		UserTimeout: time.Duration(get("TCP_USER_TIMEOUT", syscall.IPPROTO_TCP, optUserTimeout)) * time.Millisecond,
	}
	if firstErr != nil {
		return Settings{}, firstErr
	}
	return s, nil
}
