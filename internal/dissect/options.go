package dissect

import (
	"encoding/binary"
	"fmt"
	"strings"

	"kax/internal/timeline"
	"kax/internal/wire"
)

// optionKinds are the registered numbers (IANA, TCP Option Kind Numbers).
var optionKinds = map[byte]string{
	0: "End of Option List", 1: "No-Operation", 2: "Maximum Segment Size", 3: "Window Scale", 4: "SACK Permitted", 5: "SACK",
	6: "Echo", 7: "Echo Reply", 8: "Time Stamp Option", 9: "Partial Order Connection Permitted", 10: "Partial Order Service Profile",
	11: "CC", 12: "CC.NEW", 13: "CC.ECHO", 14: "TCP Alternate Checksum Request", 15: "TCP Alternate Checksum Data", 16: "Skeeter",
	17: "Bubba", 18: "Trailer Checksum Option", 19: "MD5 Signature Option", 20: "SCPS Capabilities",
	21: "Selective Negative Acknowledgements", 22: "Record Boundaries", 23: "Corruption experienced", 24: "SNAP", 25: "Unassigned",
	26: "TCP Compression Filter", 27: "Quick-Start Response", 28: "User Timeout Option", 29: "The TCP Authentication Option",
	30: "Multipath TCP", 34: "TCP Fast Open Cookie", 76: "Riverbed Probe", 78: "Riverbed Transparency",
	172: "Accurate ECN Order 0", 174: "Accurate ECN Order 1", 253: "RFC3692-style Experiment 1", 254: "RFC3692-style Experiment 2",
}

// optionNames are what the list of options calls them, where it has a name.
var optionNames = map[byte]string{
	0: "End of Option List (EOL)", 1: "No-Operation (NOP)", 2: "Maximum segment size", 3: "Window scale", 4: "SACK permitted", 5: "SACK",
	6: "Echo", 7: "Echo reply", 8: "Timestamps", 11: "CC", 12: "CC.NEW", 13: "CC.ECHO", 19: "TCP MD5 signature", 20: "SCPS capabilities",
	21: "Selective Negative Acknowledgment", 22: "SCPS record boundary", 23: "SCPS corruption experienced", 27: "Quick-Start",
	28: "User Timeout", 29: "TCP AO", 30: "MPTCP", 34: "TCP Fast Open", 76: "Riverbed Probe", 78: "Riverbed Transparency",
	172: "Accurate ECN", 174: "Accurate ECN", 253: "Experimental", 254: "Experimental",
}

// An option is one TCP option, and where it goes.
type option struct {
	*timeline.Field
	d    *dissector
	at   int
	b    []byte // kind and length included
	kind byte
}

func (o *option) show(offset, length int, format string, args ...any) {
	o.d.add(o.Field, o.at+offset, length, format, args...)
}

// options dissects TCP options (RFC 9293 section 3.2) from at to end; size is
// their length by the header, of which a snapped frame holds less.
func (d *dissector) options(l *timeline.Field, at, end, size int) {
	all := d.add(l, at, size, "Options: (%s)", count(size, "byte"))
	for at < min(end, len(d.frame)) {
		kind, n := d.u8(at), 1
		name, ok := optionNames[kind]
		if !ok {
			name = fmt.Sprintf("Unknown (0x%02x)", kind)
		}
		if kind > 1 {
			if !d.has(at, 2) || at+2 > end {
				d.add(all, at, 1, "%s (length byte past end of options)", name)
				return
			}
			switch n = int(d.u8(at + 1)); {
			case n < 2:
				d.add(all, at, 2, "%s (with too-short option length = %s)", name, count(n, "byte"))
				return
			case at+n > end:
				d.add(all, at, end-at, "%s (option length = %s says option goes past end of options)", name, count(n, "byte"))
				return
			}
		}
		title := "TCP Option - " + name
		switch {
		case kind == 30:
			title = "Multipath Transmission Control Protocol"
		case kind == 7:
			title = "TCP Option - Echo"
		case kind == 12, kind == 13:
			title = "TCP Option - CC"
		case !ok:
			title = "TCP Option - Unknown"
		}
		o := option{Field: d.add(all, at, n, "%s", title), d: d, at: at, kind: kind}
		o.show(0, 1, "Kind: %s (%d)", named(optionKinds, kind), kind)
		if kind > 1 {
			o.show(1, 1, "Length: %d", n)
		}
		if !d.has(at, n) { // snapped
			return
		}
		o.b = d.frame[at : at+n]
		if !o.value() {
			return
		}
		all.Text += ", " + name
		if at += n; kind == 0 && strings.Trim(string(d.frame[at:min(end, len(d.frame))]), "\x00") != "" {
			d.add(all, at, end-at, "Non-zero header padding")
			return
		}
	}
}

func (o *option) u32(at int) uint32 { return binary.BigEndian.Uint32(o.b[at:]) }
func (o *option) u16(at int) uint16 { return binary.BigEndian.Uint16(o.b[at:]) }

// offer notes what a SYN offers.
func (o *option) offer(format string, args ...any) {
	if s := &o.d.seen; s.flags&wire.SYN != 0 {
		s.offers = append(s.offers, fmt.Sprintf(format, args...))
	}
}

// value shows what follows kind and length. An option of a length that it cannot
// have shows no more than those. It reports false where what comes next is in
// doubt.
func (o *option) value() bool {
	n := len(o.b)
	switch {
	case o.kind == 2 && n == 4:
		o.show(2, 2, "MSS Value: %d", o.u16(2))
		o.Text += fmt.Sprintf(": %d bytes", o.u16(2))
		o.offer("MSS %d", o.u16(2))
	case o.kind == 3 && n == 3:
		shift := o.b[2]
		o.show(2, 1, "Shift count: %d", shift)
		o.show(2, 0, "[Multiplier: %d]", 1<<min(shift, 14))
		o.Text += fmt.Sprintf(": %d (multiply by %d)", shift, 1<<min(shift, 14))
		o.offer("window scale %d", shift)
	case o.kind == 4 && n == 2:
		o.offer("SACK")
	case o.kind == 5:
		return o.sack()
	case (o.kind == 6 || o.kind == 7) && n == 6:
		o.show(2, 4, "TCP Echo Option: %d", o.u32(2))
		o.Text += fmt.Sprintf(": %d", o.u32(2))
	case o.kind == 8 && n == 10:
		o.show(2, 4, "Timestamp value: %d", o.u32(2))
		o.show(6, 4, "Timestamp echo reply: %d", o.u32(6))
		o.Text += fmt.Sprintf(": TSval %d, TSecr %d", o.u32(2), o.u32(6))
		o.offer("timestamps")
	case o.kind >= 11 && o.kind <= 13 && n == 6:
		o.show(2, 4, "TCP CC Option: %d", o.u32(2))
	case o.kind == 19 && n == 18:
		o.show(2, 16, "MD5 digest: %s", octets(o.b[2:]))
	case o.kind == 20 && n == 4:
		o.scps()
	case o.kind == 21 && n == 6:
		o.show(2, 2, "TCP SNACK Offset: %d", o.u16(2))
		o.show(4, 2, "TCP SNACK Size: %d", o.u16(4))
		return false // Wireshark ends the list with it
	case o.kind == 27 && n == 8:
		o.quickStart()
	case o.kind == 28 && n == 4:
		v := uint32(o.u16(2))
		o.show(2, 2, "%s = Granularity: %s", bits(v, 0x8000, 16), choose(v&0x8000 != 0, "Minutes", "Seconds"))
		o.show(2, 2, "%s = User Timeout: %d", bits(v, 0x7fff, 16), v&0x7fff)
	case o.kind == 29 && n >= 4:
		o.show(2, 1, "AO KeyID: %d", o.b[2])
		o.show(3, 1, "AO RNextKeyID: %d", o.b[3])
		if n > 4 {
			o.show(4, n-4, "AO MAC: %s", octets(o.b[4:]))
		}
	case o.kind == 30:
		o.multipath()
	case o.kind == 34:
		o.fastOpen(2)
	case o.kind == 172, o.kind == 174:
		o.accurateECN(2, o.kind == 172)
	case o.kind == 253, o.kind == 254:
		o.experiment()
	case o.kind == 76, o.kind == 78, optionNames[o.kind] == "":
		if n > 2 {
			o.show(2, n-2, "Payload: %s", octets(o.b[2:]))
		}
	}
	return true
}

// sack is RFC 2018 section 3, and RFC 2883 section 4 on duplicates.
func (o *option) sack() bool {
	base := uint32(0)
	if o.d.Stream != nil {
		base = o.d.Stream.Sides[1-o.d.Sender].Base
	}
	var edges []uint32
	for i := 2; i < len(o.b); i += 4 {
		if i+4 > len(o.b) {
			o.show(i, len(o.b)-i, "suboption would go past end of option")
			return false
		}
		edges = append(edges, o.u32(i)-base)
		o.show(i, 4, "%s edge = %d (relative)", choose(len(edges)%2 == 1, "left", "right"), edges[len(edges)-1])
		if len(edges)%2 == 0 {
			o.Text += fmt.Sprintf(" %d-%d", edges[len(edges)-2], edges[len(edges)-1])
		}
	}
	if len(edges)%2 == 1 {
		o.show(len(o.b), 0, "suboption would go past end of option")
		return false
	}
	o.show(2, 0, "[TCP SACK Count: %d]", len(edges)/2)
	if len(edges) < 2 {
		return true
	}
	inside := int32(o.d.seen.ack-edges[0]) > 0 && int32(o.d.seen.ack-edges[1]) >= 0
	if len(edges) > 3 && int32(edges[0]-edges[2]) >= 0 && int32(edges[3]-edges[1]) >= 0 {
		inside = true
	}
	if inside {
		o.show(2, 0, "[D-SACK Left Edge = %d (relative)]", edges[0])
		o.show(6, 0, "[D-SACK Right Edge = %d (relative)]", edges[1])
		o.show(2, 8, "D-SACK Sequence")
	}
	return true
}

func (o *option) scps() {
	v := uint32(o.b[2])
	f := o.d.add(o.Field, o.at+2, 1, "TCP SCPS Capabilities Vector: 0x%02x", v)
	for i, name := range []string{
		"Partial Reliability Capable (BETS)", "Short Form SNACK Capable (SNACK1)", "Long Form SNACK Capable (SNACK2)",
		"Lossless Header Compression (COMP)", "Network Layer Timestamp (NLTS)",
	} {
		mask := uint32(0x80) >> i
		o.d.add(f, o.at+2, 1, "%s = %s: %s", bits(v, mask, 8), name, choose(v&mask != 0, "Set", "Not set"))
	}
	o.d.add(f, o.at+2, 1, "%s = Reserved: %d", bits(v, 0x07, 8), v&7)
	o.show(3, 1, "Connection ID: %d", o.b[3])
}

// quickStart is RFC 4782 section 4.2: a rate of 0 or 40 kbit/s · 2^rate.
func (o *option) quickStart() {
	rate := uint32(o.b[2] & 0xf)
	bps := "0 bit/s"
	if rate > 0 {
		bps = fmt.Sprintf("%d Kbit/s", 40<<rate)
	}
	o.show(2, 1, "%s = QS Rate: %s (%d)", bits(uint32(o.b[2]), 0x0f, 8), bps, rate)
	o.show(3, 1, "QS Rate: %d", o.b[3])
}

// fastOpen is RFC 7413 section 4.1.1: without a cookie one is asked for.
func (o *option) fastOpen(at int) {
	if len(o.b) <= at {
		o.show(0, len(o.b), "Fast Open Cookie Request")
		o.offer("a Fast Open cookie to be given")
		return
	}
	o.show(at, len(o.b)-at, "Fast Open Cookie: %s", octets(o.b[at:]))
	o.offer("a Fast Open cookie")
}

// accurateECN is RFC 9768 section 3.2.3: up to three counters of 24 bits.
func (o *option) accurateECN(at int, zeroFirst bool) {
	n := len(o.b) - at
	if n%3 != 0 || n > 9 || n < 0 {
		return
	}
	names, short := []string{"ECT(0)", "CE", "ECT(1)"}, []string{"EE0B", "ECEB", "EE1B"} //nolint:misspell // RFC 3168's word
	order := 0
	if !zeroFirst {
		names[0], names[2], short[0], short[2], order = names[2], names[0], short[2], short[0], 1
	}
	sep := fmt.Sprintf(" (Order %d): ", order)
	for i := range n / 3 {
		v := uint32(o.b[at+3*i])<<16 | uint32(o.b[at+3*i+1])<<8 | uint32(o.b[at+3*i+2])
		o.show(at+3*i, 3, "Accurate ECN Echo %s Byte Counter: %d", names[i], v)
		o.Text += fmt.Sprintf("%s%s %d", sep, short[i], v)
		sep = ", "
	}
}

// experiments are ExIDs (RFC 6994).
var experiments = map[uint16]string{
	0x00ac: "TCP ACK Rate Request", 0x0348: "Host ID", 0x0a0d: "Autonomous System Compensation", 0x0ca0: "Capability Option",
	0x0ed0: "Extended Data Offset", 0x454e: "Encryption Negotiation", 0x5323: "Service Number", 0x75ec: "Timestamp Interval",
	0xacc0: "Accurate ECN - Order 0", 0xacc1: "Accurate ECN - Order 1", 0xacce: "Accurate ECN",
	0xe2d4: "Shared Memory communications over RMDA protocol", 0xf989: "Fast Open", 0xf990: "Low Latency",
}

func (o *option) experiment() {
	if len(o.b) < 4 {
		return
	}
	id := o.u16(2)
	o.Text += ": " + named(experiments, id)
	o.show(2, 2, "Experiment Identifier: %s (0x%04x)", named(experiments, id), id)
	switch rest := len(o.b) - 4; {
	case id == 0xf989:
		o.fastOpen(4)
	case id == 0xacc0 || id == 0xacc1:
		if rest%3 == 0 {
			o.Text += ": Accurate ECN"
			o.accurateECN(4, id == 0xacc0)
		}
	case id == 0x00ac && rest == 1:
		o.show(4, 1, "%s = TARR Rate: %d", bits(uint32(o.b[4]), 0xfe, 8), o.b[4]>>1)
		o.show(4, 1, "%s = TARR Reserved: %d", bits(uint32(o.b[4]), 0x01, 8), o.b[4]&1)
		o.Text += fmt.Sprintf(" %d", o.b[4]>>1)
	case rest > 0 && id != 0x00ac:
		o.show(4, rest, "Data: %s", octets(o.b[4:]))
	}
}

// subtypes are those of Multipath TCP (RFC 8684 section 3).
var subtypes = map[byte]string{
	0: "Multipath Capable", 1: "Join Connection", 2: "Data Sequence Signal", 3: "Add Address", 4: "Remove Address",
	5: "Change Subflow Priority", 6: "TCP Fallback", 7: "Fast Close", 8: "TCP Reset",
}

// multipath shows the options of Multipath TCP, MP_CAPABLE down to its bits.
func (o *option) multipath() {
	if len(o.b) < 3 {
		return
	}
	sub := o.b[2] >> 4
	o.Text += ": " + named(subtypes, sub)
	o.show(2, 1, "%s = Multipath TCP subtype: %s (%d)", bits(uint32(o.b[2]), 0xf0, 8), named(subtypes, sub), sub)
	if sub != 0 || len(o.b) < 4 {
		if len(o.b) > 3 {
			o.show(3, len(o.b)-3, "Data: %s", octets(o.b[3:]))
		}
		return
	}
	o.offer("Multipath TCP")
	version := o.b[2] & 0xf
	o.show(2, 1, "%s = Multipath TCP version: %d", bits(uint32(o.b[2]), 0x0f, 8), version)
	v := uint32(o.b[3])
	f := o.d.add(o.Field, o.at+3, 1, "Multipath TCP flags: 0x%02x", v)
	o.d.add(f, o.at+3, 1, "%s = Checksum required: %d", bits(v, 0x80, 8), v>>7)
	o.d.add(f, o.at+3, 1, "%s = Extensibility: %d", bits(v, 0x40, 8), v>>6&1)
	if version == 0 {
		o.d.add(f, o.at+3, 1, "%s = Use HMAC-SHA1: %d", bits(v, 0x01, 8), v&1)
		o.d.add(f, o.at+3, 1, "%s = Reserved: 0x%02x", bits(v, 0x3e, 8), v>>1&0x1f)
	} else {
		o.d.add(f, o.at+3, 1, "%s = Do not attempt to establish new subflows to this address and port: %d", bits(v, 0x20, 8), v>>5&1)
		o.d.add(f, o.at+3, 1, "%s = Use HMAC-SHA256: %d", bits(v, 0x01, 8), v&1)
		o.d.add(f, o.at+3, 1, "%s = Reserved: 0x%x", bits(v, 0x1e, 8), v>>1&0xf)
	}
	for i, name := range []string{"Sender's Key", "Receiver's Key"} {
		if at := 4 + 8*i; at+8 <= len(o.b) {
			o.show(at, 8, "%s: %d", name, binary.BigEndian.Uint64(o.b[at:]))
		}
	}
}
