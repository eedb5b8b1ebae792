//go:build !linux

package hosts

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"time"
)

func unsupported() error {
	return fmt.Errorf("hosts in network namespaces: %w on %s", errors.ErrUnsupported, runtime.GOOS)
}

// A Host is Linux's.
type Host struct{ Name string }

// New is Linux's.
func New(string) (*Host, error) { return nil, unsupported() }

// Do is Linux's.
func (*Host) Do(func() error) error { return unsupported() }

// Close is Linux's.
func (*Host) Close() error { return unsupported() }

// Sysctl is Linux's.
func (*Host) Sysctl(_, _ string) error { return unsupported() }

// Count is Linux's.
func (*Host) Count(_, _ string) (int, error) { return 0, unsupported() }

// Via is Linux's.
func (*Host) Via(netip.Addr) error { return unsupported() }

// Silence is Linux's.
func (*Host) Silence() (lift func() error, err error) { return nil, unsupported() }

// LoseFIN is Linux's.
func (*Host) LoseFIN() (lift func() error, err error) { return nil, unsupported() }

// Translate is Linux's.
func (*Host) Translate(_, _ *Host, _ NAT) error { return unsupported() }

// Remembered is Linux's.
func (*Host) Remembered(_, _ netip.AddrPort) (time.Duration, bool, error) {
	return 0, false, unsupported()
}

// Link is Linux's.
func Link(_, _ *Host, _ netip.Prefix) (atA, atB netip.Addr, err error) {
	return atA, atB, unsupported()
}

// Forget is Linux's.
func Forget(syscall.Conn) error { return unsupported() }

// Routed is Linux's.
type Routed struct {
	Client, Router, Server *Host
	ClientAddr, ServerAddr netip.Addr
}

// NewRouted is Linux's.
func NewRouted(NAT, netip.Prefix, netip.Prefix) (*Routed, error) { return nil, unsupported() }
