// Package netns gives kax a network of its own: it runs the program again in a
// new network namespace, and reads the kernel's counters of a namespace.
package netns

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// StopSignals receives the signals that ask a program to end. SIGHUP is not
// among them where the program was started to ignore it, as by nohup(1); a
// SIGINT is, though shells have background jobs ignore it: like tcpdump, kax is
// stopped by it from scripts. signal.Stop ends that.
func StopSignals() chan os.Signal {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	return signals
}

// ErrRefused means that the namespace, or what a run needs inside it, could not
// be had; nothing of the run has happened yet.
var ErrRefused = errors.New("no network namespace of its own")

// envChild tells a process that it is the run inside, and which namespaces it
// got. firstFD is the first of the two descriptors that tie it to its parent.
const (
	envChild = "KAX_NETNS_CHILD"
	firstFD  = 3

	withUserNS    = "user,net"
	withoutUserNS = "net"
)

// A Child is this process, when it is the one inside the new namespace.
type Child struct {
	UserNS bool // it got a user namespace too

	ready *os.File // written once: empty for ready, or why not
	alive *os.File // ends when the parent wants the run to end, or is gone
}

// Inside returns the child's ties to its parent, or nil when this process is
// not inside a namespace made by [Run].
func Inside() (*Child, error) {
	v, ok := os.LookupEnv(envChild)
	if !ok {
		return nil, nil
	}
	if v != withUserNS && v != withoutUserNS {
		return nil, fmt.Errorf("%s=%q: kax sets this for itself", envChild, v)
	}
	return &Child{
		UserNS: v == withUserNS,
		ready:  os.NewFile(firstFD, "ready"),
		alive:  os.NewFile(firstFD+1, "alive"),
	}, os.Unsetenv(envChild)
}

// Ready ends the attempt: with nil the run goes ahead, and otherwise the
// parent looks for another way.
func (c *Child) Ready(err error) error {
	text := "ok"
	if err != nil {
		text = err.Error()
	}
	_, werr := c.ready.WriteString(text)
	return errors.Join(werr, c.ready.Close())
}

// Wait returns when the parent wants the run to end, or has died.
func (c *Child) Wait() {
	var b [1]byte
	_, _ = c.alive.Read(b[:])
}
