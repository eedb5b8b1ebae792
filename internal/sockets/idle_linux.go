package sockets

import (
	"os"
	"strconv"
	"strings"
	"time"

	"kax/internal/netns"
)

// DefaultIdle is the idle time of sockets without one of their own in the
// process's network namespace: the sysctl net.ipv4.tcp_keepalive_time. For
// another namespace than this process's it needs CAP_SYS_ADMIN.
func (p *Process) DefaultIdle() (time.Duration, error) {
	elsewhere, err := otherNetwork(p.PID)
	if err != nil {
		return 0, err
	}
	if !elsewhere {
		return readIdle()
	}
	var idle time.Duration
	err = netns.At(p.PID, func() (err error) {
		idle, err = readIdle()
		return err
	})
	return idle, err
}

// readIdle reads the calling thread's sysctl: /proc/sys/net is its network
// namespace's.
func readIdle() (time.Duration, error) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/tcp_keepalive_time")
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return time.Duration(n) * time.Second, err
}
