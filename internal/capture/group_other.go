//go:build !linux

package capture

import "time"

// awaitAny has nothing to wait for: there are no members.
func awaitAny(_ []member, wait time.Duration) { time.Sleep(wait) }
