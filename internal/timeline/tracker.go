package timeline

import (
	"net/netip"
	"strings"
	"time"

	"kax/httpka"
	"kax/internal/wire"
	"kax/tcpka"
)

// A Tracker makes records of packets and of what HTTP programs tell. It is fed
// in order of time, by one goroutine. It follows [MaxConns] connections at a
// time, and its size does not grow with what has passed.
//
// A record is the receiver's only until its function returns; what it keeps it
// must copy.
type Tracker struct {
	emit       func(Record)
	header     Header
	started    moment
	observing  bool
	silent     bool // no events are wanted
	maxConns   int
	conns      conns
	opened     int // connections so far
	held       int // bytes, in all streams
	familiar   httpka.Familiar
	sum        Summary
	told       [httpka.Closed + 1]int // events by kind
	seen       [tcpka.RST + 1]int     // likewise
	tally      tally
	plans      [2]*tcpka.Plan // of each side; nil where its settings or HZ are not known
	planned    planned
	lateness   span // of probes, against their settings
	handshakes span // how long they took
	exchanges  exchanges
	concluded  []string // verdicts of the run's own, or nil
	proven     []Proof  // of these

	// The present packet.
	now    moment
	packet int
	mark   string
	head   *Head // that its payload begins with, if it was read ahead

	// One of each, used again for every event.
	event    Event
	segment  Segment
	frame    Frame // without bytes, where these are not wanted
	message  Message
	request  Request
	response Response
	due      Window
}

// NewTracker emits the header, whose start is the timeline's zero. HTTP messages
// are those that programs tell of, with [Tracker.HTTP].
func NewTracker(h Header, emit func(Record)) *Tracker {
	h.Schema = Schema
	t := &Tracker{emit: emit, header: h, started: momentOf(h.Started), maxConns: MaxConns}
	t.makePlans()
	emit(Record{Header: &h})
	return t
}

// Observing says how an observer works.
type Observing struct {
	MaxConns int  // open connections at a time; 0 is [MaxConns]
	NoEvents bool // only connections and the summary are wanted
}

// NewObserver is a Tracker of connections that no program tells of: HTTP
// messages are found in the packets.
func NewObserver(h Header, o Observing, emit func(Record)) *Tracker {
	t := NewTracker(h, emit)
	t.observing, t.silent = true, o.NoEvents
	if o.MaxConns > 0 {
		t.maxConns = o.MaxConns
	}
	return t
}

// since is a moment on the timeline, as exact as records are.
func (t *Tracker) since(at moment) Seconds {
	return Seconds(at.since(t.started).Round(time.Microsecond))
}

// Step opens a part of an experiment.
func (t *Tracker) Step(at time.Time, name, text string) {
	t.emit(Record{Step: &Step{At: t.since(momentOf(at)), Name: name, Text: text}})
}

// Packet takes a segment with its number and the kernel's stamp. Of its payload
// it keeps nothing.
func (t *Tracker) Packet(stamp time.Time, number int, s *wire.Segment) {
	at := momentOf(stamp)
	t.sum.Packets++
	t.now, t.packet = at, number
	c, side := t.find(s)
	m := c.flow.Next(side, tcpka.Segment{
		Seq: s.Seq, Ack: s.Ack, Len: s.Len, Window: s.Window, Scale: s.Scale,
		Flags: tcpka.Flags(s.Flags & 0xff), // the same bits by other names
		Quiet: c.quiet(at),
	})
	switch m.Kind {
	case tcpka.SYN:
		c.half[side].begins(s.Seq)
	case tcpka.SYNACK:
		c.half[side].begins(s.Seq)
		c.half[1-side].begins(s.Ack - 1)
	case tcpka.Probe:
		c.probeBytes += int32(s.Len)
	}
	// What a packet carries is told first, and bears its number.
	if t.observing {
		t.carry(c, side, m.Kind, s)
	} else {
		t.deliver(c, side, m.Kind, s.Len)
	}
	if !t.silent {
		t.segment = Segment{
			Src: s.Src, Dst: s.Dst, Seq: s.Seq, Ack: s.Ack,
			Len: s.Len, Window: m.Window, Flags: s.Flags.String(),
		}
		t.event = Event{Packet: number, Segment: &t.segment}
		if t.frame.Bytes != nil {
			t.event.Frame = &t.frame
		}
	}
	if t.mark != "" {
		t.event.Note, t.mark = t.mark, ""
	}
	if m.Late {
		t.event.Note = "late"
	}
	if m.Presumed {
		t.event.Note = "answers a probe, presumed: the first segment captured"
	}
	t.tcp(at, c, side, m.Kind)
	t.frame.Bytes = nil
	if c.over {
		t.end(c)
	}
}

// deliver tells the message that waits for the present packet.
func (t *Tracker) deliver(c *conn, side int, k tcpka.Kind, length int) {
	for i := range c.waiting {
		if e := &c.waiting[i]; e.FromServer == (side == server) && carries(e, k, length) {
			t.http(t.now, c, t.packet, e)
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			break
		}
	}
}

// Mark says something of the next packet, as its note.
func (t *Tracker) Mark(note string) { t.mark = note }

// Inferred is a tcp event without a packet: what an end's own socket tells of
// itself.
type Inferred struct {
	Client, Server netip.AddrPort
	FromServer     bool
	Kind           tcpka.Kind
	Note           string
	Blur           time.Duration // how much earlier it may have been
}

// Infer takes an event that no packet shows.
func (t *Tracker) Infer(when time.Time, i Inferred) {
	at := momentOf(when)
	p := pair{i.Client, i.Server}
	c, side := t.named(p), client
	if i.Kind == tcpka.Established && c.over {
		c = t.open(p) // the ports are used again
	}
	t.now, t.packet = at, 0
	if i.FromServer {
		side = server
	}
	t.event = Event{Note: i.Note}
	if i.Blur > CountersBlur {
		c.half[side].blurred = true
	}
	t.tcp(at, c, side, i.Kind)
	if c.half[client].fin && c.half[server].fin {
		c.over = true // no last acknowledgment is to be seen
	}
	if c.over {
		t.end(c)
	}
}

// tcp completes and emits t.event.
func (t *Tracker) tcp(at moment, c *conn, side int, k tcpka.Kind) {
	e, h, peer := &t.event, &c.half[side], &c.half[1-side]
	if c.active == 0 {
		c.rec.Opened, c.active = max(t.since(at), 0), at
	}
	switch k {
	case tcpka.SYN:
		c.synAt = at
	case tcpka.Data:
		c.established = true
	case tcpka.Established:
		c.established = true
		if c.synAt != 0 {
			e.After = Seconds(at.since(c.synAt))
			t.handshakes.add(at.since(c.synAt))
		}
	case tcpka.Probe:
		e.Nth, e.Idle = int(h.probes)+1, Seconds(at.since(c.active))
		t.tally.proofs.probes.add(t.packet, c.rec.ID)
		t.tally.proofs.answered.add(t.packet, c.rec.ID)
		if h.lastProbe > c.active {
			t.tally.apart.add(at.since(h.lastProbe))
		}
		if o := t.options(side); o.Keepalive && h.heard != 0 && !h.blurred {
			t.lateness.add(at.since(h.due(o)))
			e.Due = t.predict(at, side, h)
		}
	case tcpka.WindowProbe:
		t.tally.proofs.window.add(t.packet, c.rec.ID)
	case tcpka.ProbeAnswer:
		t.tally.proofs.answered.packet(t.packet)
		e.Nth, e.After = int(peer.probes), Seconds(at.since(peer.lastProbe))
	case tcpka.WindowProbeAnswer:
		e.After = Seconds(at.since(peer.lastProbe))
	}
	if !c.written { // a record that has been emitted stays as it is
		c.sent(at, t.packet, side, k)
		c.last = at
	}
	t.seen[k]++
	if !t.silent {
		e.At, e.Conn, e.Lane, e.Side, e.Kind = t.since(at), c.rec.ID, TCP, sideNames[side], k.String()
		t.tell()
	}
}

// tell emits t.event.
func (t *Tracker) tell() {
	if !t.silent {
		t.emit(Record{Event: &t.event})
	}
}

func (t *Tracker) options(side int) *KeepaliveOptions {
	if side == server {
		return &t.header.Settings.ServerTCP.Effective
	}
	return &t.header.Settings.ClientTCP.Effective
}

// HTTP takes what a program tells. Where there are packets, a message waits
// for the one that carries it, and a close for its FIN or RST; their time is
// then the packet's.
func (t *Tracker) HTTP(at time.Time, e httpka.Event) {
	c := t.named(pair{e.Client, e.Server})
	e.Time = at
	switch e.Kind {
	case httpka.Request, httpka.Response, httpka.Interim, httpka.Upgrade, httpka.IdleClose:
		if t.header.Source != Counters && t.header.Source != "" && !c.written {
			c.waiting = append(c.waiting, e)
			return
		}
	}
	t.http(momentOf(at), c, 0, &e)
}

func (t *Tracker) http(at moment, c *conn, packet int, e *httpka.Event) {
	side := client
	if e.FromServer {
		side = server
	}
	switch e.Kind {
	case httpka.Request:
		if !c.written {
			c.rec.Requests++
			if e.Reused {
				c.rec.Reused++
			}
			t.tally.proofs.request(c, packet)
		}
	case httpka.Response, httpka.Upgrade:
		c.responses++
		c.lastResponse, c.lastResponseIn = at, packet
	case httpka.IdleClose:
		c.idleClosed, c.answeredLast = at, c.lastAnswer
		c.idleClosedIn, c.answeredLastIn = packet, c.lastAnswerIn
	}
	if c.saidClose == "" && hasToken(e.Connection, "close") {
		c.saidClose, c.saidCloseIn = sideNames[side], packet
	}
	t.told[e.Kind]++
	if t.silent {
		return
	}
	t.event = Event{
		At: t.since(at), Conn: c.rec.ID, Lane: HTTP, Kind: e.Kind.String(), Side: sideNames[side],
		Packet: packet, Idle: Seconds(e.Idle), Note: e.Reason,
	}
	t.message = Message{Version: e.Version, Connection: e.Connection, KeepAlive: e.KeepAlive}
	switch e.Kind {
	case httpka.Request:
		t.request = Request{Method: e.Method, Target: e.Target, Reused: e.Reused}
		t.event.Message, t.event.Request = &t.message, &t.request
	case httpka.Response, httpka.Interim, httpka.Upgrade:
		t.response = Response{Status: e.Status}
		t.event.Message, t.event.Response = &t.message, &t.response
	case httpka.Retry, httpka.Error:
		t.event.Note = strings.TrimSpace(e.Method + " " + e.Target)
		switch {
		case e.Err != nil && t.event.Note != "":
			t.event.Note += ": " + e.Err.Error()
		case e.Err != nil: // in a response whose request is not known
			t.event.Note = e.Err.Error()
		}
	}
	t.tell()
}

// end emits a connection's record, once.
func (t *Tracker) end(c *conn) {
	if c.written {
		return
	}
	for i := range c.waiting { // their packets were not captured
		t.http(momentOf(c.waiting[i].Time), c, 0, &c.waiting[i])
	}
	if h := c.carried; h != nil {
		t.packet = 0
		h.side[client].finish(&h.side[client])
		h.side[server].finish(&h.side[server])
		c.lookNoMore()
	}
	c.waiting, c.written = nil, true
	t.conns.end(c)
	c.rec.Probes, c.rec.Answered = int(c.half[client].probes+c.half[server].probes), int(c.answered)
	if c.last != 0 {
		c.rec.Ended = t.since(c.last)
	}
	t.tally.add(c)
	t.sum.Requests += c.rec.Requests
	t.sum.Reused += c.rec.Reused
	t.sum.Answered += c.rec.Answered
	rec := c.rec
	rec.Protocol = c.protocol
	t.emit(Record{Conn: &rec})
}

// Conclude puts verdicts, each with its proof, in the place of the tracker's own.
func (t *Tracker) Conclude(verdicts []string, proven []Proof) {
	t.concluded, t.proven = verdicts, proven
}

// Finish emits what is still open, and the summary. kernelProbes is nil where
// the kernel's counter is not the timeline's alone.
func (t *Tracker) Finish(dropped int, kernelProbes *int) {
	for _, c := range t.conns.rest() {
		t.end(c)
	}
	s := &t.sum
	s.Connections, s.Dropped, s.KernelProbes, s.Events = t.opened, dropped, kernelProbes, t.events()
	if s.Verdicts, s.Proofs = t.concluded, t.proven; s.Verdicts == nil {
		s.Verdicts, s.Proofs = t.verdicts()
	}
	t.emit(Record{Summary: s})
}

// events counts them by kind.
func (t *Tracker) events() map[string]int {
	by := map[string]int{}
	count := func(kind string, n int) {
		if n > 0 {
			by[kind] = n
		}
	}
	for k, n := range t.seen {
		count(tcpka.Kind(k).String(), n)
	}
	for k, n := range t.told {
		count(httpka.Kind(k).String(), n)
	}
	count(Opaque, t.tally.opaque.n())
	return by
}
