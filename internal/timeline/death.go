package timeline

import (
	"fmt"
	"net/netip"
	"time"
)

// Death is the end of a held connection, as its program sees it.
type Death struct {
	At         Seconds  `json:"at"`
	Conn       int      `json:"conn"`
	Errno      string   `json:"errno"`           // of the read that saw it, as ETIMEDOUT; empty for an end of file
	Text       string   `json:"text"`            // what that means
	Poll       []string `json:"poll,omitempty"`  // what poll(2) said just before
	Then       string   `json:"then,omitempty"`  // what another read said
	Write      string   `json:"write,omitempty"` // and a write
	Unanswered int      `json:"unanswered"`      // probes
	Lasted     Seconds  `json:"lasted"`          // since the connection opened
	Quiet      Seconds  `json:"quiet"`           // since the peer was last heard
}

// Dead takes the end of a connection that a program held. It completes d with
// what the timeline knows, where its socket does not.
func (t *Tracker) Dead(when time.Time, clientAddr, serverAddr netip.AddrPort, ofServer bool, d Death) {
	at := momentOf(when)
	c, side, who, other := t.named(pair{clientAddr, serverAddr}), client, Client, Server
	if ofServer {
		side, who, other = server, Server, Client
	}
	h := &c.half[side]
	d.At, d.Conn = t.since(at), c.rec.ID
	d.Lasted = d.At - c.rec.Opened
	if d.Quiet == 0 && h.heard != 0 {
		d.Unanswered, d.Quiet = int(h.unanswered), Seconds(at.since(h.heard))
	}
	proof := Proof{Conns: []int{d.Conn}}
	proof.packet(c.lastProbeIn[side])
	// Where no packet shows how it ended, this does.
	switch d.Errno {
	case "ETIMEDOUT":
		c.closed(who, Timeout)
		t.tally.deaths.add(t.gaveUp(c, side, d), proof)
	case "ECONNRESET":
		c.closed(other, ByRST)
		t.tally.deaths.add(fmt.Sprintf("#%d was reset: the peer is there, and knows no such connection any more.", c.rec.ID), proof)
	case "":
		c.closed(other, ByFIN)
	}
	c.last = max(c.last, at)
	t.emit(Record{Death: &d})
}

// deathSlack is what a busy machine may add to a death.
const deathSlack = 100 * time.Millisecond

// gaveUp says what it took until the kernel gave a peer up.
func (t *Tracker) gaveUp(c *conn, side int, d Death) string {
	text := fmt.Sprintf("#%d ended %s after the peer was last heard, with %s unanswered",
		c.rec.ID, Brief(time.Duration(d.Quiet)), Count(d.Unanswered, "probe"))
	p := t.plans[side]
	if p == nil || d.Unanswered == 0 {
		return text + "."
	}
	at, least, most := p.Death()
	probes := fmt.Sprint(least)
	if most > least {
		probes += fmt.Sprintf(" to %d", most)
	}
	verdict := ", as planned"
	if d.Unanswered < least || d.Unanswered > most || time.Duration(d.Quiet) < at.Earliest || time.Duration(d.Quiet) > at.Latest+deathSlack {
		verdict = ", not as planned"
	}
	return text + fmt.Sprintf("%s: %s, after %s.", verdict, probes, (&span{n: 2, min: at.Earliest, max: at.Latest}).String())
}
