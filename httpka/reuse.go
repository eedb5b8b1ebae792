package httpka

import "errors"

// Answer is the one to "may this connection carry another request?"
type Answer uint8

// The answers.
const (
	ReuseUnknown Answer = iota
	ReuseYes
	ReuseNo
)

func (a Answer) String() string {
	switch a {
	case ReuseYes:
		return "yes"
	case ReuseNo:
		return "no"
	}
	return "unknown"
}

// Decider is who has decided an [Answer].
type Decider uint8

// Who it may be. Both sides have to want a connection to persist, so a yes is
// both sides'.
const (
	ByNobody Decider = iota
	ByClient
	ByServer
	ByBoth
)

func (d Decider) String() string {
	switch d {
	case ByClient:
		return "client"
	case ByServer:
		return "server"
	case ByBoth:
		return "both"
	}
	return "nobody"
}

// Why is the reason of an [Answer].
type Why uint8

// The reasons, by RFC 9112 unless they say otherwise. Where several hold, the
// first of them is given.
const (
	WhyUnknown     Why = iota // no final response
	WhyCut                    // closed inside the message (section 8)
	WhySwitched               // 101: another protocol follows (RFC 9110 section 7.8)
	WhyTunnel                 // CONNECT and 2xx (RFC 9110 section 9.3.6)
	WhyClose                  // "Connection: close" (sections 9.3 and 9.6)
	WhyOldVersion             // HTTP/1.0 without keep-alive (section 9.3)
	WhyFraming                // the end of a message cannot be trusted (sections 6.1 and 6.3)
	WhyUntilClose             // the body ends with the connection (section 6.3, item 8)
	WhyUnsolicited            // a response without a request (section 9.2)
	WhyClosed                 // the client has closed its direction (section 9.5)
	WhyNotHTTP                // bytes that are no message
	WhyUnpaired               // the request was not seen: it may have said close
	WhyUnfinished             // the request is not complete: its rest must be read first (section 9.3)
	WhyGap                    // bytes of the message are missing
	WhyPersistent             // HTTP/1.1 without close, or HTTP/1.0 with keep-alive (section 9.3)
)

func (w Why) String() string {
	switch w {
	case WhyGap:
		return "bytes are missing"
	case WhySwitched:
		return "another protocol"
	case WhyTunnel:
		return "a tunnel"
	case WhyClose:
		return "Connection: close"
	case WhyOldVersion:
		return "HTTP/1.0 without keep-alive"
	case WhyFraming:
		return "the end of a message cannot be trusted"
	case WhyUntilClose:
		return "the body ends with the connection"
	case WhyCut:
		return "closed inside the message"
	case WhyUnsolicited:
		return "a response without a request"
	case WhyNotHTTP:
		return "bytes that are no message"
	case WhyClosed:
		return "the client has closed"
	case WhyUnpaired:
		return "the request was not seen"
	case WhyUnfinished:
		return "the request is not complete"
	case WhyPersistent:
		return "persistent"
	}
	return "no final response"
}

// Reuse is the verdict on a connection after a final response: may it carry
// another request? It says what the two sides have agreed on; each may still
// close an idle connection at any time.
type Reuse struct {
	May Answer
	By  Decider
	Why Why
}

func (r Reuse) String() string {
	if r.By == ByNobody {
		return r.May.String() + ": " + r.Why.String()
	}
	return r.May.String() + ", by " + r.By.String() + ": " + r.Why.String()
}

// old reports that the message does not persist by its version alone.
func (h *half) old() bool { return h.Message.Version == "HTTP/1.0" && !h.says.keepAlive }

// decidedBy says who has done a thing, if anyone.
func decidedBy(client, server bool) Decider {
	switch {
	case client && server:
		return ByBoth
	case client:
		return ByClient
	case server:
		return ByServer
	}
	return ByNobody
}

// reuse is the verdict after the message of h, once it is complete.
func (c *Conversation) reuse(h *half) Reuse {
	m, q, client := &h.Message, &c.current, &c.half[0]
	if !m.FromServer || m.Interim() {
		return Reuse{}
	}
	if m.Framing == BodyTunnel {
		if m.Status == 101 {
			return Reuse{ReuseNo, ByBoth, WhySwitched}
		}
		return Reuse{ReuseNo, ByBoth, WhyTunnel}
	}
	if by := decidedBy(q.close, h.says.close); by != ByNobody {
		return Reuse{ReuseNo, by, WhyClose}
	}
	if by := decidedBy(q.old, h.old()); by != ByNobody {
		return Reuse{ReuseNo, by, WhyOldVersion}
	}
	if by := decidedBy(q.faulty, h.faulty); by != ByNobody {
		return Reuse{ReuseNo, by, WhyFraming}
	}
	switch {
	case m.Framing == BodyUntilClose:
		return Reuse{ReuseNo, ByServer, WhyUntilClose}
	case q.is == pairNobody:
		return Reuse{ReuseNo, ByServer, WhyUnsolicited}
	case client.closed:
		return Reuse{ReuseNo, ByClient, WhyClosed}
	case client.violated:
		return Reuse{ReuseNo, ByClient, WhyNotHTTP}
	case q.is == pairUnseen:
		return Reuse{ReuseUnknown, ByNobody, WhyUnpaired}
	case q.nth > c.whole:
		return Reuse{ReuseUnknown, ByClient, WhyUnfinished}
	}
	return Reuse{ReuseYes, ByBoth, WhyPersistent}
}

// reuseBroken is the verdict after a message that is broken behind its head.
func (c *Conversation) reuseBroken(h *half, err error) Reuse {
	switch {
	case !h.Message.FromServer || h.Message.Interim():
		return Reuse{}
	case errors.Is(err, ErrCut):
		return Reuse{ReuseNo, ByServer, WhyCut}
	case errors.Is(err, ErrGap):
		// What the head has said still holds.
		if r := c.reuse(h); r.May == ReuseNo {
			return r
		}
		return Reuse{ReuseUnknown, ByNobody, WhyGap}
	}
	return Reuse{ReuseNo, ByServer, WhyFraming}
}
