package tcpka

// holes are the parts of one direction that have not been seen, though later
// ones have: what comes there is new, not sent again. Where there are more than
// have room, the oldest is forgotten.
type holes struct {
	list [4]struct{ from, to uint32 } // sequence numbers; empty where they are the same
	next uint8                        // the place for the next one
}

func (h *holes) add(from, to uint32) {
	h.list[h.next] = struct{ from, to uint32 }{from, to}
	h.next = (h.next + 1) % uint8(len(h.list))
}

// fill reports whether a segment lies in a hole, as a whole or with some of its
// bytes. What is left of the hole is the longer side of it.
func (h *holes) fill(from, to uint32) bool {
	for i := range h.list {
		hole := &h.list[i]
		if hole.from == hole.to || int32(hole.to-from) <= 0 || int32(to-hole.from) <= 0 {
			continue
		}
		if before, after := int32(from-hole.from), int32(hole.to-to); before > after {
			hole.to = from
		} else if after > 0 {
			hole.from = to
		} else {
			hole.from = hole.to
		}
		return true
	}
	return false
}
