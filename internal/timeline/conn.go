package timeline

import (
	"net/netip"
	"time"

	"kax/httpka"
	"kax/tcpka"
)

// pair names a connection while it lasts.
type pair struct{ client, server netip.AddrPort }

// The two sides of a connection, as indices.
const (
	client = 0
	server = 1
)

var sideNames = [...]Side{client: Client, server: Server}

// conn is what is known of one connection. What every packet needs comes first,
// in whole cache lines: with a thousand connections side by side each of them
// takes longer to come than a packet to be looked at.
type conn struct {
	ends pair

	established  bool
	over         bool          // nothing more is to come
	written      bool          // its record has been emitted
	holding      bool          // carried has bytes that wait for others before them
	answered     int32         // probes
	heard        uint64        // when, in the order of packets
	active       moment        // the last thing that was neither probe nor answer; 0 before the first packet
	last         moment        // packet
	carried      *carried      // what is found in its packets; nil before there was data, and when nothing can be
	longestIdle  time.Duration // between two things that were neither probes nor answers
	lastAnswer   moment
	lastAnswerIn int // its packet

	half [2]half
	flow tcpka.Flow

	lastProbeIn  [2]int // of each side, its packet
	probeBytes   int32
	lastResponse moment

	synAt       moment
	responses   int
	waiting     []httpka.Event // told by a program, their packets not seen yet
	protocol    string         // that is not HTTP/1: "tls", "http/2", "other"
	rec         Conn           // complete when it is written
	key         key
	clientFirst bool // in key

	// For the verdicts.
	saidClose    Side   // who sent "Connection: close" first
	idleClosed   moment // when the server's idle timeout closed it
	answeredLast moment // lastAnswer before that

	// The packets of these, to prove them.
	firstRequest, lastRequest, saidCloseIn, lastResponseIn, idleClosedIn, answeredLastIn int
}

// half is what is known of one end.
type half struct {
	lastProbe  moment // 0 before the first
	heard      moment // when it last received data or an acknowledgment
	probes     int32  // sent
	unanswered int32  // in a row
	isn        uint32 // its first sequence number
	isnKnown   bool
	fin        bool
	blurred    bool // a probe since heard is not known well enough in time to plan by
}

// sent notes a segment and what it does to the peer's idle clock: probes are out
// of window there and never reach tcp_ack, so they do not restart it.
func (c *conn) sent(at moment, packet, side int, k tcpka.Kind) {
	h, peer := &c.half[side], &c.half[1-side]
	switch k {
	case tcpka.Probe:
		h.probes++
		h.unanswered++
		h.lastProbe, c.lastProbeIn[side] = at, packet
	case tcpka.WindowProbe:
		h.lastProbe = at
		c.rec.WindowProbes++
	case tcpka.ProbeAnswer:
		peer.hears(at)
		c.answered++
		c.lastAnswer, c.lastAnswerIn = at, packet
	case tcpka.WindowProbeAnswer, tcpka.Ack:
		peer.hears(at)
	default:
		if k == tcpka.Retransmission {
			c.rec.Retransmissions++
		}
		peer.hears(at)
		if k == tcpka.Established && h.heard == 0 {
			h.heard = at // the SYN-ACK before it, which counters do not see
		}
		if c.active != 0 {
			c.longestIdle = max(c.longestIdle, at.since(c.active))
		}
		c.active = at
	}
	switch {
	case k == tcpka.RST:
		how := ByRST
		if h.unanswered > 0 {
			how = Timeout // the kernel's farewell to a peer that answers no more
		}
		c.closed(sideNames[side], how)
		c.over = true
	case k == tcpka.FIN:
		h.fin = true
		c.closed(sideNames[side], ByFIN)
	case c.half[client].fin && c.half[server].fin:
		c.over = true // the last acknowledgment
	}
}

// begins notes where the numbers of a direction begin.
func (h *half) begins(isn uint32) { h.isn, h.isnKnown = isn, true }

// quiet is how long nothing but probes and their answers has passed.
func (c *conn) quiet(at moment) time.Duration {
	if c.active == 0 {
		return 0
	}
	return at.since(c.active)
}

// hears notes that the peer lives. Like the kernel (tcp_ack clears
// icsk_probes_out), it takes any acknowledgment for that, not only the answer
// to a probe.
func (h *half) hears(at moment) { h.heard, h.unanswered, h.blurred = at, 0, false }

// closed notes the first goodbye.
func (c *conn) closed(by Side, how CloseHow) {
	if c.rec.Close == NotYet {
		c.rec.ClosedBy, c.rec.Close = by, how
	}
}

// due is when a side's next probe should go by its settings: the idle time
// after it last heard from the peer, and the interval after its last probe.
func (h *half) due(o *KeepaliveOptions) moment {
	due := h.heard.plus(time.Duration(o.Idle))
	if h.lastProbe != 0 {
		due = max(due, h.lastProbe.plus(time.Duration(o.Interval)))
	}
	return due
}

// carries reports whether a segment may hold the bytes that e tells of.
func carries(e *httpka.Event, k tcpka.Kind, length int) bool {
	if e.Kind == httpka.IdleClose {
		return k == tcpka.FIN || k == tcpka.RST
	}
	return (k == tcpka.Data || k == tcpka.FIN) && length > 0
}
