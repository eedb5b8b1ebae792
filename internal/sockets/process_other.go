//go:build !linux

package sockets

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"
)

// Process is Linux's.
type Process struct{ PID int }

// Borrowed is Linux's.
type Borrowed struct{ PID, Number int }

func unsupported() error {
	return fmt.Errorf("sockets of other processes: %w on %s", errors.ErrUnsupported, runtime.GOOS)
}

// OpenProcess is Linux's.
func OpenProcess(int) (*Process, error) { return nil, unsupported() }

// Close is Linux's.
func (*Process) Close() error { return unsupported() }

// Name is Linux's.
func (*Process) Name() string { return "" }

// UID is Linux's.
func (*Process) UID() (int, error) { return 0, unsupported() }

// DefaultIdle is Linux's.
func (*Process) DefaultIdle() (time.Duration, error) { return 0, unsupported() }

// Borrow is Linux's.
func (*Process) Borrow(int) (*Borrowed, error) { return nil, unsupported() }

// Sockets is Linux's.
func (*Process) Sockets(func(*Borrowed) bool) ([]*Borrowed, int, int, error) {
	return nil, 0, 0, unsupported()
}

// FD is Linux's.
func (*Borrowed) FD() uintptr { return ^uintptr(0) }

// Close is Linux's.
func (*Borrowed) Close() error { return unsupported() }

// Local is Linux's.
func (*Borrowed) Local() (netip.AddrPort, error) { return netip.AddrPort{}, unsupported() }

// Peer is Linux's.
func (*Borrowed) Peer() (netip.AddrPort, error) { return netip.AddrPort{}, unsupported() }

// Lock is Linux's.
func (*Borrowed) Lock(context.Context) (func(), error) { return nil, unsupported() }

// Status is Linux's.
func (*Borrowed) Status() (Status, error) { return Status{}, unsupported() }

// Poke is Linux's.
func (*Borrowed) Poke(context.Context, time.Duration, bool) (Outcome, error) {
	return Outcome{}, unsupported()
}
