package dissect

import (
	"fmt"
	"slices"
	"strings"

	"kax/internal/timeline"
	"kax/internal/wire"
)

// meaning says in one to three sentences what the frame is for.
func (d *dissector) meaning() []string {
	s := d.seen
	if !s.is {
		return d.noSegment()
	}
	var out []string
	from := fmt.Sprintf("port %d to port %d", s.sport, s.dport)
	switch f := s.flags; {
	case f&wire.RST != 0:
		out = append(out, d.reset())
	case f&(wire.SYN|wire.ACK) == wire.SYN:
		out = append(out, fmt.Sprintf("SYN: opens a connection to port %d%s.", s.dport, offered(s.offers)))
	case f&wire.SYN != 0:
		out = append(out, fmt.Sprintf("SYN, ACK: port %d accepts the connection from port %d%s.", s.sport, s.dport, offered(s.offers)))
	case f&wire.FIN != 0:
		out = append(out, fmt.Sprintf("FIN: port %d has sent all that it will send on this connection; it may still receive.", s.sport))
	}
	carries := s.length > 0 && s.flags&wire.RST == 0
	switch {
	case d.Verdict != "":
		out = append(out, d.Verdict)
	case d.probe():
		out = append(out, d.probeShaped())
		carries = s.length > 1
	case s.flags&(wire.SYN|wire.FIN|wire.RST) == 0 && s.flags&wire.ACK != 0 && s.length == 0:
		out = append(out, fmt.Sprintf("ACK without data: port %d has received all bytes before %d.%s", s.sport, s.ack, d.perhaps()))
	case s.flags == 0:
		out = append(out, "No flag is set: no segment of any connection (a scanner's).")
	}
	if carries {
		out = append(out, fmt.Sprintf("%s of data, %s%s.", count(s.length, "byte"), from, d.carried()))
	}
	if len(out) == 0 {
		out = append(out, "No ACK flag: a segment of an open connection has it (RFC 9293 section 3.1), and no other flag here explains the lack.")
	}
	if s.window == 0 && s.flags&wire.ACK != 0 && s.flags&(wire.RST|wire.FIN) == 0 {
		out = append(out, fmt.Sprintf("Its window is closed: port %d takes no data until it opens it again.", s.sport))
	}
	return out
}

// noSegment says why there is nothing to say of TCP.
func (d *dissector) noSegment() []string {
	switch d.layers[len(d.layers)-1].Name {
	case "cut":
		return []string{"The frame ends before its headers do."}
	case "data":
		if slices.ContainsFunc(d.layers, holdsTCP) {
			return []string{"A fragment of an IP packet: the TCP segment is there when all its fragments are."}
		}
	}
	return []string{"No TCP segment."}
}

// holdsTCP reports whether an IP header announces TCP, itself or in the header of
// a fragment.
func holdsTCP(l timeline.Layer) bool {
	isTCP := func(f timeline.Field) bool {
		return f.Text == "Protocol: TCP (6)" || f.Text == "Next header: TCP (6)"
	}
	return slices.ContainsFunc(l.Fields, func(f timeline.Field) bool { return isTCP(f) || slices.ContainsFunc(f.Fields, isTCP) })
}

// offered lists the options of a SYN.
func offered(offers []string) string {
	switch n := len(offers); n {
	case 0:
		return ", without any option"
	case 1:
		return "; offers " + offers[0]
	default:
		return "; offers " + strings.Join(offers[:n-1], ", ") + " and " + offers[n-1]
	}
}

func (d *dissector) reset() string {
	s := d.seen
	if d.Stream != nil && d.Stream.Sides[1-d.Sender].sent && s.ack == 1 && s.seq == 1 && d.Stream.Completeness&(SawSYNACK|SawData) == 0 {
		return fmt.Sprintf("RST: port %d refuses the connection.", s.sport)
	}
	return fmt.Sprintf("RST: port %d declares the connection void; whatever was under way is lost.", s.sport)
}

// probe reports whether the segment has the form of a keepalive probe and
// nothing that speaks against it: no data, or the one byte that some systems send
// along, from before the next number of its side.
func (d *dissector) probe() bool {
	s := d.seen
	if s.flags&(wire.SYN|wire.FIN|wire.RST) != 0 || s.flags&wire.ACK == 0 || s.length > 1 {
		return false
	}
	return d.Below || d.lone() && s.length == 1
}

// lone reports that no earlier segment of the same side is known.
func (d *dissector) lone() bool { return d.Stream == nil || d.first }

func (d *dissector) probeShaped() string {
	what := "no data"
	if d.seen.length == 1 {
		what = "a single byte"
	}
	if d.Below {
		return fmt.Sprintf("Looks like a keepalive probe: it carries %s, and its sequence number is one below the next; whether the other side's window was open, and everything acknowledged, only its connection's history tells.", what)
	}
	return fmt.Sprintf("Looks like a keepalive probe: an acknowledgment that carries %s; only its connection's history tells.", what)
}

// perhaps names what a bare acknowledgment may be as well.
func (d *dissector) perhaps() string {
	if !d.lone() {
		return ""
	}
	return " A keepalive probe, and the answer to one, look the same: only the connection's history tells."
}

// carried names what the data is, where its first bytes show it.
func (d *dissector) carried() string {
	for _, l := range d.layers {
		if l.Name == "http" {
			f := l.Fields[0].Fields
			if strings.HasPrefix(f[0].Text, "Request Method: ") {
				return fmt.Sprintf(": an HTTP request, %s %s", cutValue(f[0].Text), shorten(cutValue(f[1].Text), 60))
			}
			return ": an HTTP response, status " + cutValue(f[1].Text)
		}
	}
	p := d.seen.payload
	// A TLS record: content type, version 3.x (RFC 8446 section 5.1).
	if len(p) >= 5 && p[0] >= 20 && p[0] <= 24 && p[1] == 3 && p[2] <= 4 {
		return ": a TLS record, encrypted or about to be"
	}
	return ""
}

func cutValue(s string) string {
	_, value, _ := strings.Cut(s, ": ")
	return value
}

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
