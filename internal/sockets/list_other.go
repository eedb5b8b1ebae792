//go:build !linux

package sockets

import (
	"errors"
	"fmt"
	"runtime"
)

// List is Linux's.
func List(Query) (*Table, error) {
	return nil, fmt.Errorf("list this machine's sockets: %w on %s", errors.ErrUnsupported, runtime.GOOS)
}
