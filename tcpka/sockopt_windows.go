package tcpka

import "golang.org/x/sys/windows"

// ws2ipdef.h; Windows 10 build 16299 and later.
const (
	optIdle        = 3  // TCP_KEEPIDLE
	optCount       = 16 // TCP_KEEPCNT
	optInterval    = 17 // TCP_KEEPINTVL
	optUserTimeout = 0
)

func setInt(fd uintptr, level, opt, value int) error {
	return windows.SetsockoptInt(windows.Handle(fd), level, opt, value)
}

func getInt(fd uintptr, level, opt int) (int, error) {
	return windows.GetsockoptInt(windows.Handle(fd), level, opt)
}
