// Package capture is where packets come from and go to: a live interface, the
// output of another capture program, and pcapng files.
package capture

import (
	"errors"
	"time"

	"kax/internal/wire"
)

// A Source is where packets come from.
type Source interface {
	// Next returns the next packet, waiting for it up to the given time. Without
	// one it reports false. The packet is the caller's until the next call. The
	// error is io.EOF when there will be no more.
	Next(wait time.Duration) (Packet, bool, error)
	// Dropped returns how many packets were lost for want of room.
	Dropped() (int, error)
	Close() error
}

// A Packet is one frame as captured.
type Packet struct {
	Time      time.Time // the kernel's stamp
	Data      []byte    // from the link-layer header on; valid until the next call
	Length    int       // on the wire; Data may hold less
	Interface int       // where it was seen; 0 where that is not known
	Link      wire.Link // how Data begins
}

// ErrFilter is wrapped where the kernel takes no program as long as a filter's.
var ErrFilter = errors.New("too many hosts and ports for a filter of the kernel")
