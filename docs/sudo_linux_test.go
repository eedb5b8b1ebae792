package docs_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// envSudo names the socket at which the test serves its pages' sudo. The shells
// have no privilege, so that a page cannot use what it does not ask for; the test
// has all that its network needs.
const envSudo = "KAX_DOCS_SUDO"

// An order is what sudo asks for; the descriptors come beside it.
type order struct {
	Args []string
	Dir  string
}

// sudo is what a page's sudo runs. It passes ^C on, as the real one does.
func sudo(args []string) int {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	conn, err := net.Dial("unix", os.Getenv(envSudo))
	if err != nil {
		fmt.Fprintln(os.Stderr, "sudo:", err)
		return 1
	}
	dir, err := os.Getwd()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sudo:", err)
		return 1
	}
	text, err := json.Marshal(order{args, dir})
	if err == nil {
		_, _, err = conn.(*net.UnixConn).WriteMsgUnix(text, unix.UnixRights(0, 1, 2), nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sudo:", err)
		return 1
	}
	go func() {
		for s := range signals {
			_, _ = conn.Write([]byte{byte(s.(syscall.Signal))})
		}
	}()
	var code [1]byte
	if _, err := io.ReadFull(conn, code[:]); err != nil {
		fmt.Fprintln(os.Stderr, "sudo:", err)
		return 1
	}
	return int(code[0])
}

// serveSudo runs what is asked for at the socket, until the listener is closed.
func serveSudo(socket string) (*net.UnixListener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				code, err := obey(conn)
				if err != nil {
					fmt.Fprintln(os.Stderr, "serve sudo:", err)
					code = 1
				}
				_, _ = conn.Write([]byte{byte(code)})
			}()
		}
	}()
	return l, nil
}

// obey runs one order.
func obey(conn *net.UnixConn) (int, error) {
	text, rights := make([]byte, 1<<16), make([]byte, unix.CmsgSpace(3*4))
	n, rn, _, _, err := conn.ReadMsgUnix(text, rights)
	if err != nil {
		return 0, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:rn])
	if err != nil || len(messages) != 1 {
		return 0, fmt.Errorf("%d messages: %w", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 3 {
		return 0, fmt.Errorf("%d descriptors: %w", len(fds), err)
	}
	var files [3]*os.File
	for i, fd := range fds {
		files[i] = os.NewFile(uintptr(fd), "sudo")
		defer files[i].Close()
	}
	var o order
	if err := json.Unmarshal(text[:n], &o); err != nil || len(o.Args) == 0 {
		return 0, fmt.Errorf("order %q: %w", text[:n], err)
	}
	cmd := exec.Command(o.Args[0], o.Args[1:]...)
	cmd.Dir = o.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0], files[1], files[2]
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(files[2], "sudo: %v\n", err)
		return 1, nil
	}
	go func() { // signals; the end of the connection is the end of the terminal
		var b [1]byte
		for {
			s := syscall.SIGKILL
			if _, err := conn.Read(b[:]); err == nil {
				s = syscall.Signal(b[0])
			}
			if err := cmd.Process.Signal(s); err != nil || s == syscall.SIGKILL {
				return
			}
		}
	}()
	_ = cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}
