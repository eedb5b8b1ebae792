package hosts

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Forget makes the kernel forget a connection, as a peer does that is started
// anew: its reset goes out, or is lost, before Forget returns. A close would not
// do: while another goroutine starts a program, the child holds the socket open for
// a moment too.
func Forget(c syscall.Conn) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var errno syscall.Errno
	err = rc.Control(func(fd uintptr) {
		// connect(2): AF_UNSPEC dissolves the association.
		sa := unix.RawSockaddr{Family: unix.AF_UNSPEC}
		_, _, errno = unix.Syscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&sa)), unsafe.Sizeof(sa))
	})
	if err == nil && errno != 0 {
		err = fmt.Errorf("connect AF_UNSPEC: %w", errno)
	}
	return err
}
