package counters

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const haveInfo = true

// read takes TCP_INFO (tcp(7); struct tcp_info in linux/tcp.h).
func (c *Conn) read(r *reading) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("read TCP_INFO: %w", err)
	}
	var (
		info    *unix.TCPInfo
		infoErr error
	)
	err = rc.Control(func(fd uintptr) {
		r.at = time.Now()
		info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err != nil {
		return fmt.Errorf("read TCP_INFO: %w", err)
	}
	if infoErr != nil {
		return fmt.Errorf("read TCP_INFO: %w", infoErr)
	}
	r.state = info.State
	r.segsOut, r.segsIn = info.Segs_out, info.Segs_in
	r.sent, r.received, r.acked = info.Bytes_sent, info.Bytes_received, info.Bytes_acked
	r.waiting = info.Notsent_bytes > 0 || info.Unacked > 0
	r.unanswered = info.Probes
	r.heardAgo = time.Duration(info.Last_ack_recv) * time.Millisecond
	return nil
}

// wasReset reports whether it was a reset that ended c. It takes the pending
// error (SO_ERROR, socket(7)), so nobody may read from c afterwards.
func (c *Conn) wasReset() bool {
	rc, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var errno int
	err = rc.Control(func(fd uintptr) {
		errno, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	})
	// EPIPE is a reset after the peer's FIN (tcp_reset in net/ipv4/tcp_input.c).
	return err == nil && (unix.Errno(errno) == unix.ECONNRESET || unix.Errno(errno) == unix.EPIPE)
}
