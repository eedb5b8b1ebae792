// Package capture is where packets come from and go to: a live interface, and
// pcapng files.
package capture

import "time"

// A Packet is one frame as captured.
type Packet struct {
	Time   time.Time // the kernel's stamp
	Data   []byte    // from the link-layer header on; valid until the next call
	Length int       // on the wire; Data may hold less
}

// A Filter says which packets a live capture takes.
type Filter struct {
	Interface string
	Port      uint16 // TCP, either end
}
