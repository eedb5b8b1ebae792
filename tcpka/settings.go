package tcpka

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"
)

// The kernel's limits: MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL and MAX_TCP_KEEPCNT
// in Linux's include/net/tcp.h. They hold here on every system, so that settings
// mean the same everywhere.
const (
	MinTime  = time.Second
	MaxTime  = 32767 * time.Second
	MinCount = 1
	MaxCount = 127
	// MaxUserTimeout is the largest TCP_USER_TIMEOUT: a C int of milliseconds.
	MaxUserTimeout = (1<<31 - 1) * time.Millisecond
)

// NoUserTimeout takes a TCP_USER_TIMEOUT away, as [Settings].UserTimeout: zero
// would leave the one that the socket has.
const NoUserTimeout time.Duration = -1

// Settings are the keepalive options of one socket. In [Set] a zero time or
// count leaves what the socket has; from [Get] every field is the kernel's.
type Settings struct {
	Enabled     bool          // SO_KEEPALIVE
	Idle        time.Duration // TCP_KEEPIDLE: quiet time before the first probe, whole seconds
	Interval    time.Duration // TCP_KEEPINTVL: time between unanswered probes, whole seconds
	Count       int           // TCP_KEEPCNT: unanswered probes before the peer is given up
	UserTimeout time.Duration // TCP_USER_TIMEOUT (Linux): whole milliseconds; replaces Count when set
}

// A RangeError is a value no kernel takes. It matches EINVAL, as the kernel's
// own refusal would.
type RangeError struct {
	Field string // the option: keepidle, keepintvl, keepcnt, user timeout
	Value any
	Want  string // the range, in words
}

func (e *RangeError) Error() string {
	return fmt.Sprintf("%s %v: must be %s", e.Field, e.Value, e.Want)
}

// Is reports that the error stands for EINVAL.
func (e *RangeError) Is(target error) bool { return target == syscall.EINVAL }

// CheckTime reports whether d can be an idle time or an interval.
func CheckTime(field string, d time.Duration) error {
	if d < MinTime || d > MaxTime || d%time.Second != 0 {
		return &RangeError{field, d, "a whole number of seconds from 1 to 32767"}
	}
	return nil
}

// CheckCount reports whether n can be a number of probes.
func CheckCount(n int) error {
	if n < MinCount || n > MaxCount {
		return &RangeError{"keepcnt", n, "from 1 to 127"}
	}
	return nil
}

// CheckUserTimeout reports whether d can be a TCP_USER_TIMEOUT.
func CheckUserTimeout(d time.Duration) error {
	if d < 0 || d > MaxUserTimeout || d%time.Millisecond != 0 {
		return &RangeError{"user timeout", d, "whole milliseconds, from 0 to 2147483647"}
	}
	return nil
}

// Validate checks every field that is not zero. Its errors are [*RangeError].
func (s Settings) Validate() error {
	var errs []error
	if s.Idle != 0 {
		errs = append(errs, CheckTime("keepidle", s.Idle))
	}
	if s.Interval != 0 {
		errs = append(errs, CheckTime("keepintvl", s.Interval))
	}
	if s.Count != 0 {
		errs = append(errs, CheckCount(s.Count))
	}
	if s.UserTimeout != NoUserTimeout {
		errs = append(errs, CheckUserTimeout(s.UserTimeout))
	}
	return errors.Join(errs...)
}

// Set puts s on a connection or listener, and returns what is in force then, as
// the kernel reads it back. It leaves fields that are zero as they are; Enabled
// is always set. A connection accepted from a listener has the settings the
// listener had when the handshake ended.
//
// The error wraps the errno, or [errors.ErrUnsupported] where the system has
// no such option.
func Set(c syscall.Conn, s Settings) (Settings, error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return Settings{}, fmt.Errorf("set keepalive: %w", err)
	}
	return SetRaw(rc, s)
}

// SetRaw is [Set] for a raw connection, as given to net.Dialer.Control.
func SetRaw(rc syscall.RawConn, s Settings) (effective Settings, err error) {
	controlErr := rc.Control(func(fd uintptr) { effective, err = SetFD(fd, s) })
	if controlErr != nil {
		return Settings{}, fmt.Errorf("set keepalive: %w", controlErr)
	}
	return effective, err
}

// SetFD is [Set] for a raw descriptor, such as one that another process has
// lent; on Windows it is a socket's handle.
func SetFD(fd uintptr, s Settings) (Settings, error) {
	if err := s.Validate(); err != nil {
		return Settings{}, err
	}
	if err := setFD(fd, s); err != nil {
		return Settings{}, err
	}
	return getFD(fd)
}

// Get reads the settings in force back from the kernel.
func Get(c syscall.Conn) (Settings, error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return Settings{}, fmt.Errorf("get keepalive: %w", err)
	}
	return GetRaw(rc)
}

// GetRaw is [Get] for a raw connection.
func GetRaw(rc syscall.RawConn) (s Settings, err error) {
	controlErr := rc.Control(func(fd uintptr) { s, err = GetFD(fd) })
	if controlErr != nil {
		return Settings{}, fmt.Errorf("get keepalive: %w", controlErr)
	}
	return s, err
}

// GetFD is [Get] for a raw descriptor.
func GetFD(fd uintptr) (Settings, error) { return getFD(fd) }

// Dialer returns a dialer whose connections have these settings, and on which
// package net does not put its own.
func (s Settings) Dialer() *net.Dialer {
	d := &net.Dialer{KeepAlive: -1, Control: s.control}
	d.SetMultipathTCP(false)
	return d
}

// ListenConfig returns a listen config whose listeners, and the connections
// accepted from them, have these settings and none of package net's own.
func (s Settings) ListenConfig() *net.ListenConfig {
	lc := &net.ListenConfig{KeepAlive: -1, Control: s.control}
	// By default Go listens with MPTCP, whose sockets pass only some TCP
	// options on.
	lc.SetMultipathTCP(false)
	return lc
}

func (s Settings) control(_, _ string, rc syscall.RawConn) error {
	_, err := SetRaw(rc, s)
	return err
}

// String says the settings in a few words: "on, idle 1s, interval 1s, count 3".
func (s Settings) String() string {
	if !s.Enabled {
		return "off"
	}
	text := "on"
	if s.Idle != 0 {
		text += ", idle " + short(s.Idle)
	}
	if s.Interval != 0 {
		text += ", interval " + short(s.Interval)
	}
	if s.Count != 0 {
		text += fmt.Sprintf(", count %d", s.Count)
	}
	if s.UserTimeout > 0 {
		text += ", user timeout " + short(s.UserTimeout)
	}
	return text
}

// short is Go's form without the zeros behind it: 2h and not 2h0m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
