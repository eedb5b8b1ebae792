package tcpka

import "time"

// Flags are the control bits of a TCP header (RFC 9293 section 3.1).
type Flags uint8

// The control bits a [Flow] looks at, by their place in the header.
const (
	FlagFIN Flags = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
)

// A Segment is what a [Flow] needs to know of one TCP segment.
type Segment struct {
	Seq, Ack uint32
	Len      int    // bytes of data, from the IP header, not from what was captured
	Window   uint16 // as it stands in the header
	Scale    int8   // window scale option of a SYN, or -1
	Flags    Flags

	// Quiet is how long nothing but probes and their answers has passed on the
	// connection; 0 where that is not known.
	Quiet time.Duration
}

// A Flow follows the segments of one connection, both directions, and says
// what each means. The zero Flow is ready for use, and may join a connection
// midway. It allocates nothing.
type Flow struct {
	side  [2]half  // a cache line for both
	holes [2]holes // of each side; nearly always empty
}

// half is what is known of one side.
type half struct {
	known     bool // nxt is known
	synSeen   bool
	handshake bool // SYN-ACK sent, the completing ACK not yet seen
	scale     int8 // window scale it offered, -1 none
	winKnown  bool
	pending   bool // a probe waits for its answer
	pendKind  Kind
	presumed  bool // that is the first segment seen, and only an answer can tell

	nxt       uint32 // sequence number after the last one sent (SND.NXT)
	una       uint32 // highest acknowledgment from the other side (SND.UNA)
	isn       uint32 // of its SYN
	win       int32  // window it last advertised, in bytes: of 30 bits at most
	answerAck uint32 // what an answer to the probe acknowledges
	takenAck  uint32 // the same, when the answer takes the new byte it carries
}

// A Meaning is a Flow's verdict on one segment.
type Meaning struct {
	Kind   Kind
	Window int // the window advertised, in bytes, scaled where the handshake was seen

	// Presumed marks an Ack that looks like an answer to a probe: to the first
	// segment that was seen of its peer, which could be told for none.
	Presumed bool
	// Late marks Data that was sent before what has been seen already.
	Late bool
}

// Next takes the next segment, sent by side 0 or 1.
//
// A keepalive probe is told by the sender's own rule (tcp_keepalive_timer and
// tcp_xmit_probe_skb in Linux's net/ipv4): its sequence number is one below
// the next, and all that was sent has been acknowledged. With the peer's window
// closed a zero-window probe has the same bytes: the kernel sends that kind if
// data waits for the window, which no packet shows. Flow takes it that data
// does. Either
// acknowledges all that its sender has received: what acknowledges less than
// was acknowledged before is an old segment, late or captured twice.
func (f *Flow) Next(from int, s Segment) Meaning {
	h, p := &f.side[from], &f.side[1-from]
	m := Meaning{Window: f.window(from, &s)}
	switch {
	case s.Flags&FlagRST != 0:
		m.Kind = RST
		return m
	case s.Flags&FlagSYN != 0:
		if m.Kind = h.syn(&s); m.Kind != Retransmission {
			f.holes[from] = holes{}
		}
	default:
		h.classify(p, &f.holes[from], &s, &m)
	}
	h.winKnown, h.win = true, int32(m.Window)
	if s.Flags&FlagACK != 0 {
		p.acked(s.Ack, &f.holes[1-from])
	}
	return m
}

// Acked returns the highest acknowledgment that a side has got (SND.UNA of RFC 9293),
// or where it began if there was none.
func (f *Flow) Acked(side int) uint32 { return f.side[side].una }

func (f *Flow) window(from int, s *Segment) int {
	w := int(s.Window)
	// RFC 7323 section 2.2: scaled only if both sides offered, never on a SYN.
	if h := &f.side[from]; s.Flags&FlagSYN == 0 && h.synSeen && h.scale > 0 && f.side[1-from].scale >= 0 {
		w <<= min(h.scale, 14) // larger is taken as 14 (section 2.3)
	}
	return w
}

func (h *half) syn(s *Segment) Kind {
	if h.synSeen && h.isn == s.Seq {
		return Retransmission
	}
	*h = half{known: true, nxt: s.Seq + 1, una: s.Seq, isn: s.Seq, synSeen: true, scale: s.Scale}
	if s.Flags&FlagACK == 0 {
		return SYN
	}
	h.handshake = true
	return SYNACK
}

// shortestIdle is the least time of quiet after which Linux, macOS and the BSDs
// probe: theirs are whole seconds.
const shortestIdle = time.Second

func (h *half) classify(p *half, missed *holes, s *Segment, m *Meaning) {
	end := s.Seq + uint32(s.Len)
	fin := s.Flags&FlagFIN != 0
	if fin {
		end++
	}
	first := !h.known
	if first {
		h.known, h.nxt, h.una = true, s.Seq, s.Seq
	}
	behind := int32(h.nxt - s.Seq)
	old := p.known && int32(s.Ack-p.una) < 0
	if behind == 1 && s.Len <= 1 && !fin && !old {
		// A byte that comes again at once has lost its acknowledgment on the way.
		again := s.Len == 1 && s.Quiet > 0 && s.Quiet < shortestIdle
		switch {
		case p.closed():
			m.Kind = h.probe(WindowProbe, h.nxt)
			return
		case h.una == h.nxt && !again:
			m.Kind = h.probe(Probe, h.nxt)
			return
		}
	}
	if s.Len == 0 && !fin {
		h.acknowledges(p, s, m)
		if first && s.Flags == FlagACK && m.Kind == Ack && !m.Presumed {
			h.presumed, h.answerAck = true, s.Seq+1
		}
		return
	}
	h.presumed = false
	switch {
	// BSD-derived systems probe a closed window with one new byte.
	case s.Len == 1 && behind == 0 && !fin && p.closed():
		m.Kind = h.probe(WindowProbe, end)
		return
	case int32(end-h.nxt) <= 0 && behind > 0:
		if !missed.fill(s.Seq, end) {
			m.Kind = Retransmission
			return
		}
		m.Late = true
	case int32(end-h.nxt) > 0:
		if behind < 0 {
			missed.add(h.nxt, s.Seq)
		}
		h.nxt = end
	}
	if m.Kind = Data; fin {
		m.Kind = FIN
	}
}

// closed reports that this side has said it takes no more bytes for now.
func (h *half) closed() bool { return h.winKnown && h.win == 0 }

func (h *half) probe(k Kind, takenAck uint32) Kind {
	h.pending, h.pendKind, h.answerAck, h.takenAck = true, k, h.nxt, takenAck
	return k
}

// acknowledges says what an empty segment is to the peer that sent p.
func (h *half) acknowledges(p *half, s *Segment, m *Meaning) {
	m.Kind = Ack
	switch {
	case s.Flags&FlagACK == 0: // no TCP sends this, and so it answers nothing
	case p.pending && (s.Ack == p.answerAck || s.Ack == p.takenAck):
		p.pending = false
		if m.Kind = ProbeAnswer; p.pendKind == WindowProbe {
			m.Kind = WindowProbeAnswer
		}
	case p.handshake:
		p.handshake = false
		m.Kind = Established
	case p.presumed && s.Ack == p.answerAck:
		m.Presumed = true
	}
	p.presumed = false
}

// acked notes that the other side has acknowledged everything before ack.
func (h *half) acked(ack uint32, missed *holes) {
	if !h.known {
		h.known, h.nxt, h.una = true, ack, ack
		return
	}
	if int32(ack-h.nxt) > 0 { // a segment the capture has missed, or shows later
		missed.add(h.nxt, ack)
		h.nxt = ack
	}
	if int32(ack-h.una) > 0 {
		h.una = ack
		h.handshake = false
	}
	if h.pending && int32(ack-h.answerAck) > 0 {
		h.pending = false
	}
}
