package timeline

import "kax/internal/wire"

// A Frame is the bytes of an event's packet, where they are wanted.
type Frame struct {
	Link   string `json:"link"`   // how they begin, as [wire.Link] names it
	Bytes  Bytes  `json:"frame"`  // as captured
	Length int    `json:"length"` // on the wire, bytes
}

// Frame gives the bytes of the next packet, which its tcp event then bears.
func (t *Tracker) Frame(l wire.Link, data []byte, length int) {
	t.frame = Frame{Link: l.String(), Bytes: data, Length: length}
}
