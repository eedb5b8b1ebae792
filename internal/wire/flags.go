package wire

// Flags are the control bits of a TCP header, the accurate-ECN bit included.
type Flags uint16

// The bits, lowest first (RFC 9293 section 3.1, RFC 9768).
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
	AE
)

// tcpdump's letters for the same bits, in its order.
const flagLetters = "FSRPAUEWe"

// String spells the flags by their first letters, as in "SA"; W is CWR and e
// is AE. Without flags it is empty.
func (f Flags) String() string {
	switch f { // what nearly all segments have costs no allocation
	case ACK:
		return "A"
	case PSH | ACK:
		return "PA"
	case SYN:
		return "S"
	case SYN | ACK:
		return "SA"
	case FIN | ACK:
		return "FA"
	case FIN | PSH | ACK:
		return "FPA"
	case RST:
		return "R"
	case RST | ACK:
		return "RA"
	}
	var b [len(flagLetters)]byte
	n := 0
	for i := range len(flagLetters) {
		if f&(1<<i) != 0 {
			b[n] = flagLetters[i]
			n++
		}
	}
	return string(b[:n])
}
