//go:build !linux

package netns

import (
	"errors"
	"fmt"
	"runtime"
)

func unsupported(what string) error {
	return fmt.Errorf("%s: %w on %s", what, errors.ErrUnsupported, runtime.GOOS)
}

// Run is Linux's.
func Run(bool) (int, error) {
	return 0, fmt.Errorf("%w: %w", ErrRefused, unsupported("network namespaces"))
}

// LoopbackUp is Linux's.
func LoopbackUp() error { return unsupported("turn on lo") }

// Counter is Linux's.
func Counter(_, name string) (int, error) { return 0, unsupported("read counter " + name) }

// Do is Linux's.
func Do(func() error) error { return unsupported("network namespaces") }

// At is Linux's.
func At(int, func() error) error { return unsupported("network namespaces") }
