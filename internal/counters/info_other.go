//go:build !linux

package counters

import "errors"

const haveInfo = false

func (*Conn) read(*reading) error { return errors.ErrUnsupported }
