package sockets

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultIdle is the idle time of sockets without one of their own in the
// process's network namespace: the sysctl net.ipv4.tcp_keepalive_time. For
// another namespace than this process's it needs CAP_SYS_ADMIN.
func (p *Process) DefaultIdle() (time.Duration, error) {
	ours, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return 0, err
	}
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", p.PID))
	if err != nil {
		return 0, err
	}
	if ours == theirs {
		return readIdle()
	}
	var idle time.Duration
	done := make(chan error)
	go func() {
		// Never unlocked: the runtime ends the thread with the goroutine,
		// rather than let another one run in the wrong network.
		runtime.LockOSThread()
		// A pidfd names all the namespaces of its process (setns(2)).
		err := unix.Setns(p.pidfd, unix.CLONE_NEWNET)
		if err == nil {
			idle, err = readIdle()
		}
		done <- err
	}()
	err = <-done
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
