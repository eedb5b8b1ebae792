package sockets

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A Process is a running program whose sockets may be borrowed. It stays the
// same process, even when its number is given to another one (pidfd_open(2)).
type Process struct {
	PID   int
	pidfd int
}

// OpenProcess finds a process by its number.
func OpenProcess(pid int) (*Process, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil, fmt.Errorf("process %d: %w", pid, ErrNoProcess)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT): // a thread of a process, by the older and the newer answer
		return nil, fmt.Errorf("process %d: %w", pid, ErrNoProcess)
	case err != nil:
		return nil, fmt.Errorf("process %d: pidfd_open: %w", pid, err)
	}
	return &Process{PID: pid, pidfd: pidfd}, nil
}

// Close lets the process go.
func (p *Process) Close() error { return unix.Close(p.pidfd) }

// Ended reports that the process is no more: its pidfd is readable then
// (pidfd_open(2)).
func (p *Process) Ended() bool {
	fds := []unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// Name is what the process calls itself (proc_pid_comm(5)), or empty.
func (p *Process) Name() string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.PID))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(name), "\n")
}

// UID is the user that the process runs as. Its folder in proc(5) would be
// root's where it may not be traced.
func (p *Process) UID() (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return 0, fmt.Errorf("process %d: %w", p.PID, ErrNoProcess)
	} else if err != nil {
		return 0, err
	}
	_, uids, _ := strings.Cut(string(text), "\nUid:")
	var uid int
	if _, err := fmt.Sscan(uids, &uid); err != nil {
		return 0, fmt.Errorf("process %d: read its user: %w", p.PID, err)
	}
	return uid, nil
}

// A Borrowed is a TCP socket of another process: the same socket, under a
// descriptor of this one's (pidfd_getfd(2)). It is not put into Go's poller or a
// net.Conn: net.FileConn would overwrite the keepalive settings that the two
// share, and set the socket non-blocking under its owner.
type Borrowed struct {
	PID    int
	Number int // the descriptor's, in its process
	owner  *Process
	fd     int
}

// Borrow takes a second descriptor to a TCP socket of the process. It needs the
// right to trace the process (ptrace(2), "Ptrace access mode checking"): the
// same user, or root. Without it the error is EPERM.
func (p *Process) Borrow(number int) (*Borrowed, error) {
	fd, err := p.dup(number)
	if err != nil {
		return nil, fmt.Errorf("process %d, descriptor %d: %w", p.PID, number, err)
	}
	if err := isTCP(fd); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("process %d, descriptor %d: %w", p.PID, number, err)
	}
	return &Borrowed{PID: p.PID, Number: number, owner: p, fd: fd}, nil
}

// isTCP returns [ErrNotTCP], with what it is instead.
func isTCP(fd int) error {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return fmt.Errorf("%w: no socket at all", ErrNotTCP)
	}
	proto, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	switch internet := domain == unix.AF_INET || domain == unix.AF_INET6; {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNotTCP, err)
	case internet && proto == unix.IPPROTO_TCP:
		return nil
	case internet && proto == unix.IPPROTO_MPTCP:
		return ErrMultipath
	case internet && proto == unix.IPPROTO_UDP:
		return fmt.Errorf("%w: UDP", ErrNotTCP)
	case domain == unix.AF_UNIX:
		return fmt.Errorf("%w: a UNIX socket", ErrNotTCP)
	}
	return ErrNotTCP
}

func (p *Process) dup(number int) (int, error) {
	fd, err := unix.PidfdGetfd(p.pidfd, number, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return -1, ErrNoProcess
	case errors.Is(err, unix.EBADF):
		return -1, ErrNoFD
	case err != nil:
		return -1, fmt.Errorf("pidfd_getfd: %w", err)
	}
	return fd, nil
}

// FD is this process's descriptor, good until Close.
func (b *Borrowed) FD() uintptr { return uintptr(b.fd) }

// Close gives up the second descriptor. The socket stays open in its process;
// nothing is sent.
func (b *Borrowed) Close() error { return unix.Close(b.fd) }

// Local is the socket's own address.
func (b *Borrowed) Local() (netip.AddrPort, error) {
	sa, err := unix.Getsockname(b.fd)
	if err != nil {
		return netip.AddrPort{}, os.NewSyscallError("getsockname", err)
	}
	return addrPort(sa), nil
}

// Peer is the other end's address. A socket that is not connected has none: the
// error is ENOTCONN.
func (b *Borrowed) Peer() (netip.AddrPort, error) {
	sa, err := unix.Getpeername(b.fd)
	if err != nil {
		return netip.AddrPort{}, os.NewSyscallError("getpeername", err)
	}
	return addrPort(sa), nil
}

// addrPort unmaps IPv4 addresses, which a dual-stack socket has in IPv6 form.
func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
