// Package sockets is about the TCP sockets of this machine: which there are,
// whose they are, and how to reach one that belongs to another process.
package sockets

import (
	"errors"
	"fmt"
)

// Why a socket of another process cannot be had. Errors of this package wrap
// one of these, or the errno.
var (
	// ErrNoProcess means that the process is not there, or is gone.
	ErrNoProcess = errors.New("no such process")
	// ErrNoFD means that the process has no such descriptor open.
	ErrNoFD = errors.New("no such descriptor")
	// ErrNotTCP means that the descriptor is no TCP socket: a file, a pipe, or a
	// UDP or UNIX socket.
	ErrNotTCP = errors.New("not a TCP socket")
	// ErrMultipath is an MPTCP socket, as Go's listeners are by default. Its
	// options are those of several TCP sockets, which have no descriptor.
	ErrMultipath = fmt.Errorf("%w: MPTCP", ErrNotTCP)
	// ErrEnded means that the process ended meanwhile.
	ErrEnded = errors.New("the process has ended")
)

// CloseAll gives up several descriptors.
func CloseAll(all []*Borrowed) {
	for _, b := range all {
		_ = b.Close()
	}
}
