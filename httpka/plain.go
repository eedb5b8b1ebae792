package httpka

import (
	"errors"
	"net"
	"os"
)

// plain leaves out of an error what differs from connection to connection, or is
// said beside it: addresses, and the system call's name.
func plain(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err
	}
	if call := (*os.SyscallError)(nil); errors.As(err, &call) {
		err = call.Err
	}
	return err
}
