//go:build freebsd || netbsd || dragonfly

package tcpka

import "golang.org/x/sys/unix"

// tcp(4).
const (
	optIdle        = unix.TCP_KEEPIDLE
	optInterval    = unix.TCP_KEEPINTVL
	optCount       = unix.TCP_KEEPCNT
	optUserTimeout = 0
)
