package tcpka

import "golang.org/x/sys/unix"

// tcp(4) of macOS calls the idle time TCP_KEEPALIVE.
const (
	optIdle        = unix.TCP_KEEPALIVE
	optInterval    = unix.TCP_KEEPINTVL
	optCount       = unix.TCP_KEEPCNT
	optUserTimeout = 0
)
