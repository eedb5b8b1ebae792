package httpka

import (
	"errors"
	"syscall"
)

// isReset reports that the peer, or who speaks for it, has reset the connection.
func isReset(err error) bool {
	return errors.Is(err, syscall.WSAECONNRESET) || errors.Is(err, syscall.WSAECONNABORTED)
}
