package tcpka

// Kind is what a segment means in the life of its connection.
type Kind uint8

// The kinds a [Flow] tells apart.
const (
	Ack               Kind = iota // acknowledges, carries nothing
	SYN                           // asks to open
	SYNACK                        // agrees to open
	Established                   // the acknowledgment that completes the handshake
	Data                          // carries new bytes
	Probe                         // keepalive probe: is the peer still there?
	ProbeAnswer                   // the acknowledgment that a probe provoked
	WindowProbe                   // zero-window probe: may I send again?
	WindowProbeAnswer             // the acknowledgment that a zero-window probe provoked
	Retransmission                // carries bytes that were sent before
	FIN                           // this side sends no more; may carry last bytes
	RST                           // the connection is void
)

var kindNames = [...]string{
	Ack: "ack", SYN: "syn", SYNACK: "syn-ack", Established: "established", Data: "data",
	Probe: "probe", ProbeAnswer: "probe-answer",
	WindowProbe: "window-probe", WindowProbeAnswer: "window-probe-answer",
	Retransmission: "retransmission", FIN: "fin", RST: "rst",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}
