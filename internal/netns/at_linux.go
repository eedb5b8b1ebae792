package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// At calls f on a thread of its own in the network namespace of a process. It
// needs CAP_SYS_ADMIN, here and in the user namespace that owns it (setns(2)).
func At(pid int, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked, as in Do
		err := errors.New("the function did not return")
		defer func() { result <- err }()
		err = inNetworkOf(pid, f)
	}()
	return <-result
}

func inNetworkOf(pid int, f func() error) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return fmt.Errorf("enter the network namespace of process %d: %w", pid, err)
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace of process %d: %w", pid, err)
	}
	return f()
}
