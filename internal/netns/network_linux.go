package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A Network is a network namespace that is held open by a descriptor, until it
// is closed and nobody else is in it.
type Network struct{ file *os.File }

// New makes a network namespace, with lo up. It needs CAP_SYS_ADMIN.
func New() (*Network, error) {
	n := new(Network)
	err := Do(func() (err error) {
		// /proc/self/ns is the main thread's.
		n.file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// Do calls f on a thread of its own in this namespace, as the function [Do] does
// in a new one.
func (n *Network) Do(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		err := errors.New("the function did not return")
		defer func() { result <- err }()
		if err = unix.Setns(n.FD(), unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("enter a network namespace: %w", err)
			return
		}
		err = f()
	}()
	return <-result
}

// FD is the descriptor.
func (n *Network) FD() int { return int(n.file.Fd()) }

// Close lets go of the namespace.
func (n *Network) Close() error { return n.file.Close() }
