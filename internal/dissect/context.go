package dissect

import (
	"time"

	"kax/internal/wire"
)

// Context is what a frame does not say of itself: where in its file it stands,
// and what came before it on its connection. A [Pass] finds it.
type Context struct {
	Link   wire.Link
	Number int // in its file, from 1
	Length int // on the wire, bytes

	Time          time.Time // zero where that is not known; shown in its own time zone
	SinceFirst    time.Duration
	SincePrevious time.Duration // packets of the file, whatever they hold
	Interface     *Interface    // nil where the file names none

	Stream *Stream // the connection; nil where there is no TCP segment
	Sender int     // index of its side in Stream
	// Of the connection's packets.
	StreamSinceFirst, StreamSincePrevious time.Duration
	// Below says that the sequence number is one below the next of its side.
	Below bool

	// Verdict says what the segment is by its connection's history, in a
	// sentence, where somebody knows: it takes the place of a presumption.
	Verdict string

	first    bool      // no segment of this side came before
	datagram *datagram // whose last fragment this is
}

// A datagram is what fragments make together.
type datagram struct {
	first  byte // the header that it begins with
	bytes  []byte
	length int // bytes, of which some may have been snapped
}

// Interface is where a packet was captured, by a pcapng file.
type Interface struct {
	Section int // from 1
	ID      int // in its section, from 0
	Name    string
	About   string // its description
}

// on is how a frame's first line names it.
func (i *Interface) on() string {
	if i.Name == "" {
		return "unknown"
	}
	return i.Name
}

// Completeness says which parts of a conversation are in a file, as Wireshark
// counts them.
type Completeness uint8

// The bits of Completeness.
const (
	SawSYN Completeness = 1 << iota
	SawSYNACK
	SawACK
	SawData
	SawFIN
	SawRST
)

func (c Completeness) String() string {
	const open = SawSYN | SawSYNACK | SawACK
	switch {
	case c&open == open && c&(SawFIN|SawRST) != 0 && c&SawData != 0:
		return "Complete, WITH_DATA"
	case c&open == open && c&(SawFIN|SawRST) != 0:
		return "Complete, NO_DATA"
	}
	switch c {
	case SawSYN:
		return "Incomplete, SYN_SENT"
	case SawSYN | SawSYNACK:
		return "Incomplete, CLIENT_ESTABLISHED"
	case open:
		return "Incomplete, ESTABLISHED"
	case open | SawData:
		return "Incomplete, DATA"
	}
	return "Incomplete"
}

// A Stream is a connection, as far as its packets have been read: what a later
// packet tells of it counts for an earlier one, as in Wireshark.
type Stream struct {
	Index        int // from 0, in the order of first packets
	Completeness Completeness
	Sides        [2]Side

	first, last   time.Time
	asked, agreed bool // accurate ECN, by the SYN and by its answer
}

// A Side of a connection is what one end sends.
type Side struct {
	Base  uint32 // the sequence number that is shown as 0
	Known bool   // Base is known
	Scale int8   // of its windows, as a shift; or ScaleUnknown, NoScale
	next  uint32 // the number after the last byte
	sent  bool
}

// What Side.Scale is where no scale is known.
const (
	ScaleUnknown int8 = -1 // the handshake was not seen
	NoScale      int8 = -2 // the handshake was seen, and agreed on none
)
