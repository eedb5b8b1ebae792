package netns

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do calls f on a thread of its own in a new network namespace with lo up.
// Sockets that f opens and processes that f starts are in that namespace, and
// stay in it; goroutines that f starts are not. The namespace ends with the
// last of them. It needs CAP_SYS_ADMIN.
func Do(f func() error) error {
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the runtime ends the thread with the goroutine,
		// rather than let another one run in the wrong network.
		runtime.LockOSThread()
		// What runtime.Goexit leaves, as a test's Fatal calls it.
		err := errors.New("the function did not return")
		defer func() { result <- err }()
		err = inNewNetwork(f)
	}()
	return <-result
}

func inNewNetwork(f func() error) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare the network: %w", err)
	}
	if err := LoopbackUp(); err != nil {
		return err
	}
	return f()
}
