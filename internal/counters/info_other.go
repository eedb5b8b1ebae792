//go:build !linux

package counters

import "errors"

const haveInfo = false

func (*Conn) read(*reading) error { return errors.ErrUnsupported }

func (*Conn) wasReset() bool { return false }
