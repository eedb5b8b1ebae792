package netns

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Run runs this program again, with the same arguments, in a network namespace
// of its own, and returns its exit code. Without the capabilities for that, or where it is
// asked for, that takes a user namespace too (user_namespaces(7)), in which the
// user is root.
//
// The first SIGINT, SIGTERM or SIGHUP asks the run to end, a SIGINT after it
// kills. It also ends when this process dies, since only a pipe keeps it going.
//
// ErrRefused, with the reason, says that nothing has been run.
func Run(userNS bool) (code int, err error) {
	userNS = userNS || !mayMakeNetwork()
	readyR, readyW, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	defer readyR.Close()
	aliveR, aliveW, err := os.Pipe()
	if err != nil {
		readyW.Close()
		return 0, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	defer aliveW.Close()

	// os/exec, and not unshare(2): a Go process has threads, and a namespace
	// made by one of them would not hold for the others.
	cmd := &exec.Cmd{
		Path:       "/proc/self/exe",
		Args:       os.Args,
		Env:        append(os.Environ(), envChild+"="+withoutUserNS),
		Stdin:      os.Stdin,
		Stdout:     os.Stdout,
		Stderr:     os.Stderr,
		ExtraFiles: []*os.File{readyW, aliveR}, // firstFD and the next
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNET,
		},
	}
	if userNS {
		cmd.Env[len(cmd.Env)-1] = envChild + "=" + withUserNS
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	signals := StopSignals()
	defer signal.Stop(signals)

	err = cmd.Start()
	readyW.Close()
	aliveR.Close()
	if errors.Is(err, unix.ENOSPC) { // clone(2)
		err = fmt.Errorf("%w: user namespaces are used up or forbidden (user.max_user_namespaces)", err)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	word, _ := io.ReadAll(readyR)
	if string(word) != "ok" {
		reason := string(word)
		if waitErr := cmd.Wait(); reason == "" {
			reason = fmt.Sprint(waitErr)
		}
		return 0, fmt.Errorf("%w: %s", ErrRefused, reason)
	}

	done := make(chan struct{})
	go func() {
		select {
		case <-done:
			return
		case <-signals:
			aliveW.Close()
		}
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				// timeout(1) sends SIGTERM to its child and to the group.
				if s == os.Interrupt {
					_ = cmd.Process.Kill()
				}
			}
		}
	}()
	err = cmd.Wait()
	close(done)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}

// mayMakeNetwork reports what it takes to make a network namespace and to
// capture there, in this user namespace (capabilities(7)).
func mayMakeNetwork() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	const needed = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW
	return data[0].Effective&needed == needed
}

// LoopbackUp turns on lo, which a new namespace has but does not use
// (netdevice(7)).
func LoopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("turn on lo: socket: %w", err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("turn on lo: %w", err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
		return fmt.Errorf("turn on lo: SIOCGIFFLAGS: %w", err)
	}
	req.SetUint16(req.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("turn on lo: SIOCSIFFLAGS: %w", err)
	}
	return nil
}
