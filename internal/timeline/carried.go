package timeline

import (
	"errors"
	"time"

	"kax/httpka"
	"kax/internal/wire"
	"kax/tcpka"
)

// carried finds the HTTP messages in the packets of one connection.
type carried struct {
	side [2]carriedSide // one cache line each

	t       *Tracker
	c       *conn
	midway  bool         // the beginning was not captured
	http    bool         // a message has been found
	between bool         // no part of the client's next request has come
	verdict httpka.Reuse // after the last response
	idle    time.Duration
	talk    httpka.Conversation
}

// carriedSide is one direction of it.
type carriedSide struct {
	stream
	of         *carried
	fromServer bool
}

func (d *carriedSide) bytes(b []byte) { d.of.talk.FeedHead(d.fromServer, b, d.of.t.head) }
func (d *carriedSide) gap(n int)      { d.of.talk.Gap(d.fromServer, int64(n)) }

// minIdleClose is the least idle time whose end is taken for a server's timeout:
// none in use is shorter, and a close that belongs to a response is quicker.
const minIdleClose = 50 * time.Millisecond

// carry looks into a packet, before it is told itself. The first bytes of a
// connection decide whether there is anything to find.
func (t *Tracker) carry(c *conn, side int, k tcpka.Kind, s *wire.Segment) {
	switch k {
	case tcpka.SYN, tcpka.Probe, tcpka.WindowProbe:
		return
	case tcpka.FIN, tcpka.RST:
	default:
		if s.Len == 0 && !c.holding { // most packets are of no interest here
			return
		}
	}
	h := c.carried
	if h == nil {
		if s.Len == 0 || c.protocol != "" || c.written {
			return
		}
		h = t.carriedOf(c)
		if name, note := opaque(s.Payload, h.midway); name != "" {
			t.opaque(c, side, name, note)
			return
		}
	}
	if d := &h.side[1-side]; c.holding && s.Flags&wire.ACK != 0 {
		d.ack(d, s.Ack)
	}
	if d := &h.side[side]; s.Len > 0 {
		d.ack(d, c.flow.Acked(side))
		if side == client && h.between {
			h.idle, h.between = t.now.since(c.active), false
		}
		seq := s.Seq
		if s.Flags&wire.SYN != 0 {
			seq++ // RFC 7413: data may come with the SYN
		}
		d.take(d, piece{seq, s.Len, s.Payload})
	}
	if c.carried == nil { // it turned out to be no HTTP
		return
	}
	c.holding = len(h.side[client].held)+len(h.side[server].held) > 0
	if k == tcpka.RST || k == tcpka.FIN {
		t.goodbye(h, side, k)
	}
}

// carriedOf begins to look into a connection.
func (t *Tracker) carriedOf(c *conn) *carried {
	h := &carried{t: t, c: c, between: true, midway: !c.half[client].isnKnown}
	h.talk.OnFinding, h.talk.NoTargets, h.talk.Familiar = h.found, t.silent, &t.familiar
	for side := range h.side {
		d := &h.side[side]
		d.of, d.fromServer, d.total = h, side == server, &t.held
		if c.half[side].isnKnown {
			d.starts(c.half[side].isn + 1)
		}
	}
	if h.midway {
		h.talk.Gap(false, -1)
		h.talk.Gap(true, -1)
	}
	c.carried = h
	return h
}

// goodbye takes the end of a direction; a reset is that of both.
func (t *Tracker) goodbye(h *carried, side int, k tcpka.Kind) {
	c := h.c
	if side == server && c.rec.Close == NotYet && c.responses > 0 && h.talk.Unanswered() == 0 && h.verdict.May != httpka.ReuseNo {
		if idle := t.now.since(c.active); idle >= minIdleClose {
			t.http(t.now, c, t.packet, &httpka.Event{Kind: httpka.IdleClose, FromServer: true, Idle: idle})
		}
	}
	for s := range h.side {
		if s == side || k == tcpka.RST {
			h.side[s].finish(&h.side[s])
			h.talk.Close(s == server)
		}
	}
}

// lookNoMore ends the search in a connection.
func (c *conn) lookNoMore() {
	if h := c.carried; h != nil {
		h.side[client].drop()
		h.side[server].drop()
		c.carried, c.holding = nil, false
	}
}

// found takes what the conversation finds in the present packet.
func (h *carried) found(f *httpka.Finding) {
	t, c, m := h.t, h.c, &f.Message
	switch f.Stage {
	case httpka.HeadComplete:
		h.http = true
		e := httpka.Event{
			Kind: httpka.Request, FromServer: m.FromServer, Method: m.Method, Target: m.Target, Status: m.Status,
			Version: m.Version, Connection: m.Connection, KeepAlive: m.KeepAlive, Nth: m.Nth,
		}
		switch {
		case !m.FromServer:
			if e.Reused = m.Nth > 1; e.Reused {
				e.Idle = h.idle
			}
			e.Reason = h.older(m.Nth)
		case m.Status == 101:
			e.Kind = httpka.Upgrade
		case m.Interim():
			e.Kind = httpka.Interim
		default:
			e.Kind, h.verdict = httpka.Response, f.Reuse
			e.Reason = closes(f.Reuse, m)
		}
		t.http(t.now, c, t.packet, &e)
	case httpka.MessageComplete:
		if !m.FromServer {
			h.idle, h.between = 0, true
		} else if !m.Interim() {
			c.lastResponse, c.lastResponseIn = t.now, t.packet
		}
	case httpka.MessageBroken:
		h.broken(f)
	}
}

// older says that what came before a first request is not known.
func (h *carried) older(nth int) string {
	if h.midway && nth == 1 {
		return "the connection is older than the capture"
	}
	return ""
}

// closes says why a response that does not say so is the last.
func closes(r httpka.Reuse, m *httpka.Message) string {
	if r.May != httpka.ReuseNo || m.Connection != "" || r.Why == httpka.WhyOldVersion {
		return ""
	}
	by := r.By.String()
	if r.By != httpka.ByBoth {
		by = "the " + by
	}
	return "closes, by " + by + ": " + r.Why.String()
}

func (h *carried) broken(f *httpka.Finding) {
	t, c, side := h.t, h.c, client
	if f.Message.FromServer {
		side = server
	}
	switch alien := !h.http && errors.Is(f.Err, httpka.ErrNotHTTP); {
	case errors.Is(f.Err, httpka.ErrGap):
		return // the capture's fault; what follows may be found again
	case alien && errors.Is(f.Err, httpka.ErrTLS):
		t.opaque(c, side, "tls", encrypted)
	case alien && errors.Is(f.Err, httpka.ErrHTTP2):
		t.opaque(c, side, "http/2", "HTTP/2: no HTTP/1 lane")
	case alien:
		t.opaque(c, side, "other", "not HTTP")
	default:
		t.http(t.now, c, t.packet, &httpka.Event{
			Kind: httpka.Error, FromServer: f.Message.FromServer, Method: f.Message.Method, Target: f.Message.Target, Err: f.Err,
		})
	}
}

const encrypted = "TLS: encrypted, no HTTP lane"

// opaque notes that a connection carries what cannot be read, and looks into it
// no more.
func (t *Tracker) opaque(c *conn, side int, name, note string) {
	c.lookNoMore()
	c.protocol = name
	t.event = Event{
		At: t.since(t.now), Conn: c.rec.ID, Lane: HTTP, Kind: Opaque, Side: sideNames[side], Packet: t.packet, Note: note,
	}
	t.tally.opaque.add(name, c.rec.ID)
	t.tell()
}

// opaque recognises a TLS record in a connection that was joined midway: its
// type, and a version that begins with 3 (RFC 8446 section 5.1). From the
// beginning on the conversation does so by itself.
func opaque(b []byte, midway bool) (name, note string) {
	if midway && len(b) >= 5 && b[0] >= 20 && b[0] <= 23 && b[1] == 3 && b[2] <= 4 {
		return "tls", encrypted + " (presumed)"
	}
	return "", ""
}
