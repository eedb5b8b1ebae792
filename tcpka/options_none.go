//go:build openbsd || aix

package tcpka

// OpenBSD's tcp(4) has none of these: the times are the whole machine's, by
// sysctl(8). SO_KEEPALIVE by itself can be set.
const (
	optIdle        = 0
	optInterval    = 0
	optCount       = 0
	optUserTimeout = 0
)
