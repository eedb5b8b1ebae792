package timeline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"kax/httpka"
	"kax/internal/times"
	"kax/tcpka"
)

// verdicts says what the run has shown: sentences that the records bear out,
// and that would be others had the run gone otherwise. Each has its proof.
func (t *Tracker) verdicts() (v []string, proven []Proof) {
	p := &t.tally.proofs
	say := func(sentence string, proof Proof) {
		if sentence != "" {
			slices.Sort(proof.Packets)
			slices.Sort(proof.Conns)
			v, proven = append(v, sentence), append(proven, Proof{slices.Compact(proof.Packets), slices.Compact(proof.Conns)})
		}
	}
	if t.exchanges.n > 0 {
		for i, sentence := range t.exchanges.verdicts() {
			if i == 0 {
				say(sentence, p.requests)
			} else {
				say(sentence, p.fresh)
			}
		}
	} else {
		say(t.oncePerRequest(), p.close)
		if p.reuse.Conns != nil {
			say(t.reuse(), p.reuse)
		} else {
			say(t.reuse(), p.requests)
		}
	}
	say(t.crossed(), p.lost)
	say(t.probed(), p.answered)
	say(t.unprobed(), t.quietest())
	say(t.windowProbed(), p.window)
	say(t.idledOut(), p.idledOut)
	for i, death := range t.tally.deaths.first {
		say(death, t.tally.deaths.proofs[i])
	}
	if more := t.tally.deaths.n - maxDeaths; more > 0 {
		say(Count(more, "more connection")+" ended like that: each has its record.", Proof{})
	}
	say(t.evicted(), Proof{})
	if t.planned != (planned{}) {
		say(t.asPlanned(), p.probes)
	} else if len(v) < maxVerdicts {
		say(t.late(), p.probes)
	}
	if len(v) < maxVerdicts {
		say(t.unread(), t.tally.opaque.proof())
	}
	// What contradicts the timeline weighs more than what it says.
	if n := t.sum.KernelProbes; n != nil && *n != t.seen[tcpka.Probe] {
		v = v[:min(len(v), maxVerdicts-1)]
		proven = proven[:len(v)]
	}
	if len(v) < maxVerdicts {
		say(t.kernelCount(), p.probes)
	}
	return v, proven
}

// maxVerdicts is how many sentences a reader takes in.
const maxVerdicts = 6

// oncePerRequest speaks of the connections that ended after one request
// because a message said so.
func (t *Tracker) oncePerRequest() string {
	once := &t.tally.once
	if once.ids.n == 0 {
		return ""
	}
	who := "one side or the other"
	if len(once.by) == 1 {
		for side := range once.by {
			who = "the " + string(side)
		}
	}
	goodbye := "goodbye"
	if len(once.how) == 1 && once.how[ByRST] {
		goodbye = "reset"
	}
	if once.ids.n == 1 {
		return fmt.Sprintf("%s carried one request, because %s said Connection: close: a handshake and a %s for it alone.",
			&once.ids, who, goodbye)
	}
	return fmt.Sprintf("%s carried one request each, because %s said Connection: close: a handshake and a %s for every request.",
		&once.ids, who, goodbye)
}

func (t *Tracker) reuse() string {
	if t.handshakes.n == 0 && t.sum.Requests == 0 {
		return ""
	}
	reused := &t.tally.reused
	cost := "."
	switch {
	case t.handshakes.n > 0 && t.observing:
		cost = fmt.Sprintf(" (a handshake took %s).", &t.handshakes)
	case t.handshakes.n > 0:
		cost = fmt.Sprintf(" (a handshake took %s here; over a network it costs a round trip).", &t.handshakes)
	}
	switch {
	case reused.ids.n == 0 && t.sum.Reused > 0:
		return fmt.Sprintf("Of %s %d went out on a connection that was used before, and none was answered there: %s%s",
			Count(t.sum.Requests, "request"), t.sum.Reused, Count(t.tally.withRequests.n, "handshake"), cost)
	case reused.ids.n == 0 && t.sum.Requests > 1:
		return fmt.Sprintf("None of the %d requests reused a connection: %s%s",
			t.sum.Requests, Count(t.tally.withRequests.n, "handshake"), cost)
	case reused.ids.n == 0:
		return ""
	}
	return fmt.Sprintf("%s used %s: %s saved%s",
		Count(reused.requests, "request"), reused.ids.lower(), Count(reused.requests-reused.ids.n, "handshake"), cost)
}

// crossed speaks of requests that met the server's close on their way.
func (t *Tracker) crossed() string {
	if t.observing {
		if t.tally.lost.n == 0 {
			return ""
		}
		return fmt.Sprintf("%s on %s got no response: the server closed before it. A client may send a GET again by itself, and not a POST.",
			Count(t.tally.lostRequests, "request"), t.tally.lost.lower())
	}
	switch lost := min(t.tally.lostRequests, t.told[httpka.Retry]); lost {
	case 0:
		return ""
	case 1:
		return "1 request met the server's close on its way, and the client sent it again on a new connection: it may do so with GET, and not with POST."
	default:
		return fmt.Sprintf("%d requests met the server's close on their way, and the client sent them again on a new connection: it may do so with GET, and not with POST.", lost)
	}
}

// probed speaks of the probes and of who has noticed them.
func (t *Tracker) probed() string {
	p := &t.tally.probed
	if p.probes == 0 {
		return ""
	}
	what := Count(p.probes, "probe")
	if t.header.Source == Counters {
		what += " (inferred)"
	}
	who := "the client"
	switch {
	case p.byClient == 0:
		who = "the server"
	case p.byClient < p.probes:
		who = fmt.Sprintf("the client (%d) and the server (%d)", p.byClient, p.probes-p.byClient)
	}
	answers := "all answered"
	switch {
	case p.probes == 1 && p.answered == 0:
		answers = "unanswered"
	case p.probes == 1:
		answers = "answered"
	case p.answered == 0:
		answers = "none answered"
	case p.answered < p.probes:
		answers = fmt.Sprintf("%d answered", p.answered)
	}
	if t.observing && t.tally.apart.n > 0 {
		answers += fmt.Sprintf(", %s apart", &t.tally.apart)
	}
	bytes := "none carried a byte"
	switch {
	case p.probes == 1 && p.bytes > 0:
		bytes = "it carried 1 byte of no meaning"
	case p.probes == 1:
		bytes = "it carried no byte"
	case p.bytes > 0:
		bytes = fmt.Sprintf("they carried %s of no meaning", Count(p.bytes, "byte"))
	}
	saw := ""
	if p.responses > 0 && p.responses == p.requests {
		saw = fmt.Sprintf(", and the HTTP server saw none of it: all that it did there was to answer %s", Count(p.requests, "request"))
	}
	return fmt.Sprintf("%s from %s crossed %s, %s; %s%s.", what, who, p.ids.lower(), answers, bytes, saw)
}

// unprobed says why there was no probe at all.
func (t *Tracker) unprobed() string {
	longest := t.tally.longestIdle
	if t.tally.probed.probes > 0 || t.opened == 0 || t.header.Source == "" {
		return "" // or nobody has looked
	}
	if t.observing {
		return fmt.Sprintf("No keepalive probe was seen; no connection was quiet for longer than %s between two packets.", Brief(longest))
	}
	c, s := t.options(client), t.options(server)
	if !c.Keepalive && !s.Keepalive {
		where := "at both ends"
		if t.header.Settings.ClientTCP == (Keepalive{}) || t.header.Settings.ServerTCP == (Keepalive{}) {
			where = "at this end, and the other sent none"
		}
		text := fmt.Sprintf("No probe was sent: TCP keepalive was off %s.", where)
		if r := &t.tally.reused; r.ids.n > 0 {
			text += fmt.Sprintf(" HTTP reuse did not need it: %d of %d requests reused a connection.", r.requests-r.ids.n, t.sum.Requests)
		}
		return text
	}
	idle := c.Idle
	if !c.Keepalive || s.Keepalive && s.Idle < idle {
		idle = s.Idle
	}
	if longest > time.Duration(idle) {
		return fmt.Sprintf("No probe was seen, although a connection was quiet for %s and keepidle was %s.",
			Brief(longest), times.Clock(time.Duration(idle)))
	}
	return fmt.Sprintf("No probe was sent: the kernel waits for %s of quiet (keepidle), and no connection was quiet for longer than %s.",
		times.Clock(time.Duration(idle)), Brief(longest))
}

// quietest is the connection that was quiet for longest.
func (t *Tracker) quietest() (p Proof) {
	if id := t.tally.longestIdleOf; id > 0 {
		p.conn(id)
	}
	return p
}

// windowProbed speaks of what looks like keepalive, and is not.
func (t *Tracker) windowProbed() string {
	if t.tally.windowProbes == 0 {
		return ""
	}
	return fmt.Sprintf("%s crossed %s: the same bytes as keepalive's, sent into a window that the other side had closed.",
		Count(t.tally.windowProbes, "zero-window probe"), t.tally.windowProbed.lower())
}

// idledOut speaks of the server's idle timeout, and of what did not hold it up.
func (t *Tracker) idledOut() string {
	out := &t.tally.idledOut
	if out.ids.n == 0 {
		return ""
	}
	which, last := "#"+strconv.Itoa(out.ids.first[0]), "its last response"
	if out.ids.n > 1 {
		which, last = out.ids.lower(), "the last response on each"
	}
	text := fmt.Sprintf("The server closed %s %s after %s, its idle timeout", which, &out.afterHTTP, last)
	if out.afterAnswer.n > 0 {
		return text + fmt.Sprintf(", and %s after a probe had been answered: a live peer is not a usable connection.", &out.afterAnswer)
	}
	return text + ", which only another request would have started anew."
}

// evicted says that not all connections could be followed.
func (t *Tracker) evicted() string {
	if t.sum.Evicted == 0 {
		return ""
	}
	return fmt.Sprintf("%s, silent for longest, had to be forgotten: %d can be followed at a time. What came on them later counts as a connection of its own.",
		Count(t.sum.Evicted, "open connection"), t.maxConns)
}

// unread speaks of connections without an HTTP lane.
func (t *Tracker) unread() string {
	var parts []string
	for _, o := range []struct {
		ids  *ids
		what string
	}{
		{&t.tally.opaque.tls, "encrypted (TLS)"},
		{&t.tally.opaque.http2, "HTTP/2"},
		{&t.tally.opaque.other, "no HTTP"},
	} {
		if o.ids.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s %s", o.ids.lower(), o.ids.is(), o.what))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	text := strings.Join(parts, "; ")
	return strings.ToUpper(text[:1]) + text[1:] + ": there the HTTP lane has nothing to show."
}

func (t *Tracker) late() string {
	// Counters see a probe when they next look, which says nothing of when it
	// was sent.
	if t.lateness.n == 0 || t.header.Source == Counters {
		return ""
	}
	if t.lateness.min < 0 {
		text, least, most := "Probes came", beside(t.lateness.min), beside(t.lateness.max)
		if t.lateness.n == 1 {
			text = "The probe came"
		}
		if least != most {
			least = "from " + least + " to " + most
		}
		text += " " + least + " the moment that the settings name"
		if t.lateness.min > -longestTick {
			text += ": the kernel counts idle time in whole ticks"
		}
		return text + "."
	}
	if t.lateness.n == 1 {
		return fmt.Sprintf("The probe came %s after the moment that the settings name: the kernel rounds its timers up.", &t.lateness)
	}
	return fmt.Sprintf("Probes came %s after the moment that the settings name, and never before it: the kernel rounds its timers up.", &t.lateness)
}

// longestTick is the kernel's, at HZ=100. Idle time is a difference of tick counts
// (keepalive_time_elapsed), so it may be too short by less than one.
const longestTick = 10 * time.Millisecond

// beside says how far from a moment something was.
func beside(d time.Duration) string {
	if d < 0 {
		return Brief(-d) + " before"
	}
	return Brief(d) + " after"
}

func (t *Tracker) kernelCount() string {
	if t.sum.KernelProbes == nil {
		return ""
	}
	kernel, seen := *t.sum.KernelProbes, t.seen[tcpka.Probe]
	text := fmt.Sprintf("The kernel's own counter (TCPKeepAlive) rose by %d", kernel)
	switch {
	case kernel == 0 && seen == 0:
		return "The kernel's own counter (TCPKeepAlive) did not rise: it has sent no probe either."
	case kernel == seen:
		return text + ": no probe is missing here."
	case kernel > seen:
		return text + fmt.Sprintf(", but this timeline has %s: the difference was not captured.", Count(seen, "probe"))
	}
	return text + fmt.Sprintf(", but this timeline has %s: not all of them were keepalive's.", Count(seen, "probe"))
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }
