//go:build !windows

package httpka

import (
	"errors"
	"syscall"
)

// isReset reports that the peer, or who speaks for it, has reset the connection.
// A write after that is EPIPE.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
