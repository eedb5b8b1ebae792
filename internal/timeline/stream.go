package timeline

import "slices"

// stream puts the bytes of one direction into their order. What comes before
// its turn is held, within bounds; what never came is told as a gap.
type stream struct {
	known bool
	size  int32  // bytes in held
	next  uint32 // sequence number of the byte whose turn it is
	acked uint32 // what the other side has acknowledged; as next where that is not known
	held  []piece
	total *int // bytes in there and in all other streams
}

// A piece is what a segment held, from a sequence number on; its end may be
// missing.
type piece struct {
	seq    uint32
	length int
	data   []byte
}

// Bounds of what is held: of one direction, and of all connections. A receiver
// that waits for a lost segment may take as much as its window meanwhile.
const (
	maxHeld    = 1 << 20
	maxHeldAll = 16 << 20
	maxPieces  = 1 << 10
)

// A taker gets the bytes of a stream in order. Bytes that are missing for good
// come as a gap.
type taker interface {
	bytes([]byte)
	gap(n int)
}

// starts says where the direction begins.
func (s *stream) starts(seq uint32) { s.known, s.next, s.acked = true, seq, seq }

// ack notes that the other side has everything before a sequence number: what
// is missing there will not come any more.
func (s *stream) ack(to taker, seq uint32) {
	if !s.known || int32(seq-s.acked) <= 0 {
		return
	}
	s.acked = seq
	if len(s.held) > 0 {
		s.advance(to)
	}
}

// take takes a segment's bytes.
func (s *stream) take(to taker, p piece) {
	if !s.known {
		s.starts(p.seq)
	}
	if int32(p.seq-s.next) <= 0 {
		s.hand(to, p)
	} else {
		s.hold(p)
	}
	s.advance(to)
	for s.size > maxHeld || len(s.held) > maxPieces || len(s.held) > 0 && *s.total > maxHeldAll {
		s.skip(to, s.held[0].seq)
		s.advance(to)
	}
}

// finish hands on what is held: nothing more will come.
func (s *stream) finish(to taker) {
	for s.advance(to); len(s.held) > 0; s.advance(to) {
		s.skip(to, s.held[0].seq)
	}
}

// drop forgets what is held.
func (s *stream) drop() {
	*s.total -= int(s.size)
	s.held, s.size = nil, 0
}

// hand gives what is new of a piece whose turn it is.
func (s *stream) hand(to taker, p piece) {
	old := int(s.next - p.seq)
	if old >= p.length {
		return
	}
	if fresh := p.data[min(old, len(p.data)):]; len(fresh) > 0 {
		to.bytes(fresh)
		old += len(fresh)
	}
	if missing := p.length - old; missing > 0 { // the capture has cut the packet
		to.gap(missing)
	}
	s.next = p.seq + uint32(p.length)
}

// hold keeps a copy of a piece for its turn.
func (s *stream) hold(p piece) {
	p.data = slices.Clone(p.data)
	i, _ := slices.BinarySearchFunc(s.held, p, func(a, b piece) int { return int(int32(a.seq - b.seq)) })
	s.held = slices.Insert(s.held, i, p)
	s.size += int32(len(p.data))
	*s.total += len(p.data)
}

// advance hands on what has its turn, and gives up what was acknowledged
// without having been captured.
func (s *stream) advance(to taker) {
	for len(s.held) > 0 {
		first := s.held[0]
		if int32(first.seq-s.next) > 0 {
			if int32(s.acked-first.seq) < 0 {
				return
			}
			s.skip(to, first.seq)
		}
		s.size -= int32(len(first.data))
		*s.total -= len(first.data)
		s.held = slices.Delete(s.held, 0, 1)
		s.hand(to, first)
	}
	s.held = nil
}

func (s *stream) skip(to taker, seq uint32) {
	to.gap(int(seq - s.next))
	s.next = seq
}
