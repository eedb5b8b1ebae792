package capture

import (
	"time"

	"golang.org/x/sys/unix"
)

// awaitAny returns when a member may have a packet, or after a time.
func awaitAny(members []member, wait time.Duration) {
	fds := make([]unix.PollFd, len(members))
	for i, m := range members {
		fds[i] = unix.PollFd{Fd: int32(m.live.fd), Events: unix.POLLIN}
	}
	_, _ = unix.Poll(fds, int(wait.Milliseconds())) // EINTR is a short wait
}
