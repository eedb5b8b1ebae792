package timeline

import "kax/httpka"

// Heads reads what packets carry ahead of a [Tracker] without events, so that
// another goroutine may do it. The zero Heads is ready for use.
type Heads struct {
	familiar httpka.Familiar
	list     []Head // never moved
}

// A Head is that of a message, which a packet's payload begins with.
type Head = httpka.Head

// maxHeads is how many are read between two calls of Reset.
const maxHeads = 512

// Read reads the head that a payload begins with. It returns nil where there is
// none that could be read. The head shares the payload's memory.
func (hs *Heads) Read(payload []byte) *Head {
	if hs.list == nil {
		hs.list = make([]Head, 0, maxHeads)
	}
	n := len(hs.list)
	if n == maxHeads {
		return nil
	}
	h := &hs.list[:n+1][n]
	if !hs.familiar.ReadHead(payload, h) {
		return nil
	}
	hs.list = hs.list[:n+1]
	return h
}

// Reset forgets them: the tracker has taken their packets.
func (hs *Heads) Reset() { hs.list = hs.list[:0] }

// Head gives the head that the next packet's payload begins with, or nil where it
// has not been read.
func (t *Tracker) Head(h *Head) { t.head = h }
