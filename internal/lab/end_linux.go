package lab

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kax/internal/timeline"
)

// awaitEnd reads until a connection has ended, and returns what its program
// gets to see of that. What comes before is thrown away.
func awaitEnd(c syscall.Conn) timeline.Death {
	var d timeline.Death
	rc, err := c.SyscallConn()
	if err != nil {
		return timeline.Death{Text: err.Error()}
	}
	buf := make([]byte, 2<<10) // one for each connection
	err = rc.Read(func(fd uintptr) bool {
		for {
			events := pollNow(fd)
			n, err := unix.Read(int(fd), buf)
			switch {
			case errors.Is(err, unix.EINTR), n > 0:
				continue
			case errors.Is(err, unix.EAGAIN):
				return false // wait until there is something
			case err == nil:
				d = timeline.Death{Text: "end of file: the peer has closed", Poll: events}
				return true
			}
			d = timeline.Death{Errno: errnoName(err), Text: err.Error(), Poll: events}
			d.Unanswered, d.Quiet = lastWords(fd)
			if n, err := unix.Read(int(fd), buf); err != nil {
				d.Then = errnoName(err)
			} else if n == 0 {
				d.Then = "end of file"
			}
			if _, err := unix.SendmsgN(int(fd), []byte{0}, nil, nil, unix.MSG_NOSIGNAL); err != nil {
				d.Write = errnoName(err)
			}
			return true
		}
	})
	if err != nil {
		d.Text = err.Error()
	}
	return d
}

// lastWords is what the socket still knows of its peer (TCP_INFO): the probes
// that it did not answer, and for how long it has not been heard. What has been
// captured may never have reached the socket.
func lastWords(fd uintptr) (unanswered int, quiet timeline.Seconds) {
	info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, 0
	}
	ms := min(info.Last_ack_recv, info.Last_data_recv)
	return int(info.Probes), timeline.Seconds(time.Duration(ms) * time.Millisecond)
}

func errnoName(err error) string {
	if errno := unix.Errno(0); errors.As(err, &errno) {
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// pollNow is what poll(2) says of a descriptor at this moment, of all that a
// reader asks for.
func pollNow(fd uintptr) []string {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}
	if _, err := unix.Poll(fds, 0); err != nil {
		return nil
	}
	var names []string
	for _, event := range []struct {
		bit  int16
		name string
	}{{unix.POLLIN, "IN"}, {unix.POLLERR, "ERR"}, {unix.POLLHUP, "HUP"}, {unix.POLLRDHUP, "RDHUP"}} {
		if fds[0].Revents&event.bit != 0 {
			names = append(names, event.name)
		}
	}
	return names
}

// isEstablished reports whether the kernel still takes a connection for open
// (TCP_INFO).
func isEstablished(c syscall.Conn) bool {
	rc, err := c.SyscallConn()
	if err != nil {
		return false
	}
	up := false
	_ = rc.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		up = err == nil && info.State == 1 // TCP_ESTABLISHED of net/tcp_states.h
	})
	return up
}
