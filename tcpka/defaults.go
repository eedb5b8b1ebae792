package tcpka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Defaults returns what a new socket of this system has: on Linux the sysctls
// tcp_keepalive_time, _intvl and _probes of the network namespace.
func Defaults() (Settings, error) {
	var (
		s       Settings
		getErr  error
		errSeen = errors.New("seen")
	)
	// Control has the socket before it is bound, and its error closes it.
	lc := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, rc syscall.RawConn) error {
		s, getErr = GetRaw(rc)
		return errSeen
	}}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err == nil {
		l.Close()
	} else if !errors.Is(err, errSeen) {
		return Settings{}, fmt.Errorf("open a socket: %w", err)
	}
	return s, getErr
}
