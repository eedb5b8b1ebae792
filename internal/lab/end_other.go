//go:build !linux

package lab

import (
	"errors"
	"io"
	"syscall"

	"kax/internal/timeline"
)

// awaitEnd reads until a connection has ended, and returns what its program
// gets to see of that. What comes before is thrown away.
func awaitEnd(c syscall.Conn) timeline.Death {
	_, err := io.Copy(io.Discard, c.(io.Reader))
	if err == nil {
		return timeline.Death{Text: "end of file: the peer has closed"}
	}
	d := timeline.Death{Errno: err.Error(), Text: err.Error()}
	if errors.Is(err, syscall.ETIMEDOUT) {
		d.Errno = "ETIMEDOUT"
	}
	return d
}

// isEstablished is Linux's: elsewhere there are no labs.
func isEstablished(syscall.Conn) bool { return false }
