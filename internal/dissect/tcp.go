package dissect

import (
	"fmt"
	"slices"
	"strings"

	"kax/internal/timeline"
	"kax/internal/wire"
)

// segment is what the meaning of a frame is told from.
type segment struct {
	is           bool
	sport, dport uint16
	flags        wire.Flags
	seq, ack     uint32 // relative, where a base is known
	length       int
	window       int
	payload      []byte
	offers       []string // by the options of a SYN
}

// tcp dissects a TCP segment (RFC 9293 section 3.1) from at to end.
func (d *dissector) tcp(at, end int) {
	d.protocol("tcp")
	if !d.has(at, 20) {
		d.cut("TCP")
		return
	}
	sport, dport, seq, ack := d.u16(at), d.u16(at+2), d.u32(at+4), d.u32(at+8)
	word := d.u16(at + 12)
	flags, header, length := wire.Flags(word&0x1ff), int(word>>12)*4, end-at
	relSeq, relAck := d.relative(seq, ack, flags)

	title := fmt.Sprintf("Transmission Control Protocol, Src Port: %d, Dst Port: %d, Seq: %d", sport, dport, relSeq)
	if flags&wire.ACK != 0 && header >= 20 {
		title += fmt.Sprintf(", Ack: %d", relAck)
	}
	data := length - header
	if header >= 20 && data >= 0 {
		title += fmt.Sprintf(", Len: %d", data)
	}
	l := &d.layer("tcp", at, max(header, 20), "%s", title).Field
	d.add(l, at, 2, "Source Port: %d", sport)
	d.add(l, at+2, 2, "Destination Port: %d", dport)
	if d.Stream != nil {
		d.add(l, at, 0, "[Stream index: %d]", d.Stream.Index)
		d.add(l, at, 0, "[Conversation completeness: %s (%d)]", d.Stream.Completeness, d.Stream.Completeness)
	}
	if data >= 0 {
		d.add(l, at+12, 0, "[TCP Segment Len: %d]", data)
	} else {
		d.add(l, at, 0, "Short segment. Segment/fragment does not contain a full TCP header"+
			" (might be NMAP or someone else deliberately sending unusual packets)")
	}
	d.add(l, at+4, 4, "Sequence Number: %d    (relative sequence number)", relSeq)
	d.add(l, at+4, 4, "Sequence Number (raw): %d", seq)
	if header < 20 {
		d.add(l, at+12, 1, "%s = Header Length: %d bytes (%d)", bits(uint32(word>>8), 0xf0, 8), header, header/4)
		return
	}
	if data >= 0 {
		next := relSeq + uint32(data)
		if flags&(wire.SYN|wire.FIN) != 0 {
			next++
		}
		d.add(l, at+4, 0, "[Next Sequence Number: %d    (relative sequence number)]", next)
	}
	d.add(l, at+8, 4, "Acknowledgment Number: %d%s", relAck, choose(flags&wire.ACK != 0, "    (relative ack number)", ""))
	d.add(l, at+8, 4, "Acknowledgment number (raw): %d", ack)
	d.add(l, at+12, 1, "%s = Header Length: %d bytes (%d)", bits(uint32(word>>8), 0xf0, 8), header, header/4)
	d.flags(l, at+12, word)
	window := d.window(l, at+14, flags)
	d.add(l, at+16, 2, "Checksum: 0x%04x [unverified]", d.u16(at+16))
	d.add(l, at+16, 0, "[Checksum Status: Unverified]")
	d.add(l, at+18, 2, "Urgent Pointer: %d", d.u16(at+18))
	d.seen = segment{
		is: true, sport: sport, dport: dport, flags: flags, seq: relSeq, ack: relAck, length: max(data, 0), window: window,
	}
	if header > 20 {
		d.options(l, at+20, min(at+header, end), header-20)
	}
	if d.Stream != nil && !d.Time.IsZero() {
		t := d.add(l, at, 0, "[Timestamps]")
		d.add(t, at, 0, "[Time since first frame in this TCP stream: %s]", seconds(d.StreamSinceFirst))
		d.add(t, at, 0, "[Time since previous frame in this TCP stream: %s]", seconds(d.StreamSincePrevious))
	}
	if !d.has(at, header) {
		d.cut("TCP")
		return
	}
	stop := min(end, len(d.frame))
	if at+header >= stop {
		return
	}
	d.seen.payload = d.frame[at+header : stop]
	if flags&wire.RST != 0 { // RFC 9293 section 3.5.3: a RST may say why
		d.add(l, at+header, len(d.seen.payload), "Reset cause: %s", printable(d.seen.payload))
		return
	}
	d.add(l, at+header, len(d.seen.payload), "TCP payload (%s)", count(data, "byte"))
	d.http(at+header, stop)
}

// relative counts sequence numbers from the connection's first.
func (d *dissector) relative(seq, ack uint32, flags wire.Flags) (uint32, uint32) {
	if d.Stream == nil {
		return seq, ack
	}
	if seq -= d.Stream.Sides[d.Sender].Base; flags&wire.SYN != 0 && flags&wire.ACK != 0 {
		seq = 0 // each answer to a SYN begins anew
	}
	if flags&wire.ACK != 0 {
		ack -= d.Stream.Sides[1-d.Sender].Base
	}
	return seq, ack
}

// flagNames are Wireshark's long and short names, highest bit first, and the
// letters that it draws.
var flagNames = []struct {
	mask        uint32
	long, short string
	letter      rune
}{
	{0x0e00, "Reserved", "Reserved", 'R'},
	{0x0100, "Accurate ECN", "AE", 'A'},
	{0x0080, "Congestion Window Reduced", "CWR", 'C'},
	{0x0040, "ECN-Echo", "ECE", 'E'},
	{0x0020, "Urgent", "URG", 'U'},
	{0x0010, "Acknowledgment", "ACK", 'A'},
	{0x0008, "Push", "PSH", 'P'},
	{0x0004, "Reset", "RST", 'R'},
	{0x0002, "Syn", "SYN", 'S'},
	{0x0001, "Fin", "FIN", 'F'},
}

// ecnBits are the three that count marks where both ends agreed on accurate ECN
// (RFC 9768 section 3.2.2): AE, CWR, ECE.
const ecnBits = 0x01c0

func (d *dissector) flags(l *timeline.Field, at int, word uint16) {
	value := uint32(word) & 0xfff
	counts := value&2 == 0 && d.Stream != nil && d.Stream.countsMarks()
	var set []string
	for _, flag := range slices.Backward(flagNames) {
		if value&flag.mask != 0 && (!counts || flag.mask&ecnBits == 0) {
			set = append(set, flag.short)
		}
	}
	ace := value & ecnBits >> 6
	if counts {
		set = append(set, fmt.Sprintf("ACE=%d", ace))
	}
	if set == nil {
		set = []string{"<None>"}
	}
	f := d.add(l, at, 2, "Flags: 0x%03x (%s)", value, strings.Join(set, ", "))
	var letters strings.Builder
	for _, flag := range flagNames {
		if counts && flag.mask&ecnBits != 0 {
			if flag.mask == 0x0100 {
				d.add(f, at, 2, "%s = ACE: %d", bits(value, ecnBits, 12), ace)
				fmt.Fprintf(&letters, "-%d-", ace)
			}
			continue
		}
		offset := at + 1
		if flag.mask > 0xff {
			offset = at
		}
		d.add(f, offset, 1, "%s = %s: %s", bits(value, flag.mask, 12), flag.long, choose(value&flag.mask != 0, "Set", "Not set"))
		for bit := uint32(0x800); bit > 0; bit >>= 1 {
			switch {
			case flag.mask&bit == 0:
			case value&bit != 0:
				letters.WriteRune(flag.letter)
			default:
				letters.WriteRune('·')
			}
		}
	}
	d.add(f, at, 0, "[TCP Flags: %s]", &letters)
}

// window shows the window, and what it is when it is scaled, in bytes.
func (d *dissector) window(l *timeline.Field, at int, flags wire.Flags) int {
	value, scale := int(d.u16(at)), ScaleUnknown
	if d.Stream != nil {
		scale = d.Stream.Sides[d.Sender].Scale
	}
	d.add(l, at, 2, "Window: %d", value)
	isSYN := flags&wire.SYN != 0 // whose window is never scaled
	if !isSYN && scale > 0 {
		value <<= scale
	}
	d.add(l, at, 0, "[Calculated window size: %d]", value)
	switch {
	case isSYN:
	case scale == ScaleUnknown:
		d.add(l, at, 0, "[Window size scaling factor: -1 (unknown)]")
	case scale == NoScale:
		d.add(l, at, 0, "[Window size scaling factor: -2 (no window scaling used)]")
	default:
		d.add(l, at, 0, "[Window size scaling factor: %d]", 1<<scale)
	}
	return value
}
