package sockets

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Lock keeps other runs of kax from changing the socket at the same time: one
// might take for its settings what another one has put there for a moment. It
// is a record lock of this process on the socket's inode (fcntl_locking(2)),
// which needs no file, holds across namespaces and users, ends with the process,
// and means nothing to the socket's owner. A flock(2) would not do: a borrowed
// descriptor is the same open file in each process.
func (b *Borrowed) Lock(ctx context.Context) (unlock func(), err error) {
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	for start := time.Now(); ; {
		err := unix.FcntlFlock(uintptr(b.fd), unix.F_SETLK, &lock)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EINTR) {
			return nil, fmt.Errorf("process %d, descriptor %d: lock: %w", b.PID, b.Number, err)
		}
		if err := pause(ctx, start); err != nil {
			return nil, fmt.Errorf("process %d, descriptor %d: another kax is at it: %w", b.PID, b.Number, err)
		}
	}
	return func() {
		lock.Type = unix.F_UNLCK
		_ = unix.FcntlFlock(uintptr(b.fd), unix.F_SETLK, &lock)
	}, nil
}
