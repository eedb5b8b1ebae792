package tcpka

import "golang.org/x/sys/unix"

// tcp(7).
const (
	optIdle        = unix.TCP_KEEPIDLE
	optInterval    = unix.TCP_KEEPINTVL
	optCount       = unix.TCP_KEEPCNT
	optUserTimeout = unix.TCP_USER_TIMEOUT
)
