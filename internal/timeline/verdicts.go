package timeline

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"kax/internal/times"
)

// verdicts says what the run has shown: sentences that the records bear out,
// and that would be others had the run gone otherwise.
func (t *Tracker) verdicts() []string {
	var v []string
	say := func(sentence string) {
		if sentence != "" {
			v = append(v, sentence)
		}
	}
	if t.exchanges.n > 0 {
		for _, sentence := range t.exchanges.verdicts() {
			say(sentence)
		}
	} else {
		say(t.oncePerRequest())
		say(t.reuse())
	}
	say(t.crossed())
	say(t.probed())
	say(t.unprobed())
	say(t.idledOut())
	for _, death := range t.deaths[:min(len(t.deaths), maxDeaths)] {
		say(death)
	}
	if more := len(t.deaths) - maxDeaths; more > 0 {
		say(Count(more, "more connection") + " ended like that: each has its record.")
	}
	if t.planned != (planned{}) {
		say(t.asPlanned())
	} else if len(v) < maxVerdicts {
		say(t.late())
	}
	// What contradicts the timeline weighs more than what it says.
	if n := t.sum.KernelProbes; n != nil && *n != t.sum.Events["probe"] {
		v = v[:min(len(v), maxVerdicts-1)]
	}
	if len(v) < maxVerdicts {
		say(t.kernelCount())
	}
	return v
}

// maxDeaths is how many of the same kind are enough.
const maxDeaths = 3

// maxVerdicts is how many sentences a reader takes in.
const maxVerdicts = 6

// oncePerRequest speaks of the connections that ended after one request
// because a message said so.
func (t *Tracker) oncePerRequest() string {
	var ids []int
	by, how := map[Side]bool{}, map[CloseHow]bool{}
	for _, c := range t.all {
		if c.saidClose != "" && c.rec.Requests == 1 {
			ids = append(ids, c.rec.ID)
			by[c.saidClose] = true
			how[c.rec.Close] = true
		}
	}
	if len(ids) == 0 {
		return ""
	}
	who := "one side or the other"
	if len(by) == 1 {
		for side := range by {
			who = "the " + string(side)
		}
	}
	goodbye := "goodbye"
	if len(how) == 1 && how[ByRST] {
		goodbye = "reset"
	}
	if len(ids) == 1 {
		return fmt.Sprintf("%s carried one request, because %s said Connection: close: a handshake and a %s for it alone.",
			connections(ids), who, goodbye)
	}
	return fmt.Sprintf("%s carried one request each, because %s said Connection: close: a handshake and a %s for every request.",
		connections(ids), who, goodbye)
}

func (t *Tracker) reuse() string {
	if t.handshakes.n == 0 && t.sum.Requests == 0 {
		return ""
	}
	ids, requests := t.reused()
	cost := "."
	if t.handshakes.n > 0 {
		cost = fmt.Sprintf(" (a handshake took %s here; over a network it costs a round trip).", &t.handshakes)
	}
	switch {
	case len(ids) == 0 && t.sum.Reused > 0:
		return fmt.Sprintf("Of %s %d went out on a connection that was used before, and none was answered there: %s%s",
			Count(t.sum.Requests, "request"), t.sum.Reused, Count(t.sum.Connections, "handshake"), cost)
	case len(ids) == 0 && t.sum.Requests > 1:
		return fmt.Sprintf("None of the %d requests reused a connection: %s%s",
			t.sum.Requests, Count(t.sum.Connections, "handshake"), cost)
	case len(ids) == 0:
		return ""
	}
	return fmt.Sprintf("%s used %s: %s saved%s",
		Count(requests, "request"), lower(connections(ids)), Count(requests-len(ids), "handshake"), cost)
}

// reused returns the connections that carried more than one request to an
// answer, and how many.
func (t *Tracker) reused() (ids []int, requests int) {
	for _, c := range t.all {
		if n := c.answered(); n > 1 {
			ids = append(ids, c.rec.ID)
			requests += n
		}
	}
	return ids, requests
}

// answered is how many requests the connection did carry to an answer.
func (c *conn) answered() int { return min(c.responses, c.rec.Requests) }

// crossed speaks of requests that met the server's close on their way.
func (t *Tracker) crossed() string {
	lost := 0
	for _, c := range t.all {
		if c.rec.ClosedBy == Server {
			lost += c.rec.Requests - c.answered()
		}
	}
	lost = min(lost, t.sum.Events["retry"])
	switch lost {
	case 0:
		return ""
	case 1:
		return "1 request met the server's close on its way, and the client sent it again on a new connection: it may do so with GET, and not with POST."
	}
	return fmt.Sprintf("%d requests met the server's close on their way, and the client sent them again on a new connection: it may do so with GET, and not with POST.", lost)
}

// probed speaks of the probes and of who has noticed them.
func (t *Tracker) probed() string {
	var ids []int
	probes, answered, byClient, carried, requests, responses := 0, 0, 0, 0, 0, 0
	for _, c := range t.all {
		if c.rec.Probes == 0 {
			continue
		}
		ids = append(ids, c.rec.ID)
		probes += c.rec.Probes
		answered += c.rec.Answered
		byClient += c.half[client].probes
		carried += c.probeBytes
		requests += c.rec.Requests
		responses += c.responses
	}
	if probes == 0 {
		return ""
	}
	what := Count(probes, "probe")
	if t.header.Source == Counters {
		what += " (inferred)"
	}
	who := "the client"
	switch {
	case byClient == 0:
		who = "the server"
	case byClient < probes:
		who = fmt.Sprintf("the client (%d) and the server (%d)", byClient, probes-byClient)
	}
	answers := "all answered"
	switch {
	case probes == 1 && answered == 0:
		answers = "unanswered"
	case probes == 1:
		answers = "answered"
	case answered == 0:
		answers = "none answered"
	case answered < probes:
		answers = fmt.Sprintf("%d answered", answered)
	}
	bytes := "none carried a byte"
	switch {
	case probes == 1 && carried > 0:
		bytes = "it carried 1 byte of no meaning"
	case probes == 1:
		bytes = "it carried no byte"
	case carried > 0:
		bytes = fmt.Sprintf("they carried %s of no meaning", Count(carried, "byte"))
	}
	saw := ""
	if responses > 0 && responses == requests {
		saw = fmt.Sprintf(", and the HTTP server saw none of it: all that it did there was to answer %s", Count(requests, "request"))
	}
	return fmt.Sprintf("%s from %s crossed %s, %s; %s%s.", what, who, lower(connections(ids)), answers, bytes, saw)
}

// unprobed says why there was no probe at all.
func (t *Tracker) unprobed() string {
	if t.sum.Events["probe"] > 0 || len(t.all) == 0 || t.header.Source == "" {
		return "" // or nobody has looked
	}
	c, s := t.options(client), t.options(server)
	if !c.Keepalive && !s.Keepalive {
		where := "at both ends"
		if t.header.Settings.ClientTCP == (Keepalive{}) || t.header.Settings.ServerTCP == (Keepalive{}) {
			where = "at this end, and the other sent none"
		}
		text := fmt.Sprintf("No probe was sent: TCP keepalive was off %s.", where)
		if ids, requests := t.reused(); len(ids) > 0 {
			text += fmt.Sprintf(" HTTP reuse did not need it: %d of %d requests reused a connection.", requests-len(ids), t.sum.Requests)
		}
		return text
	}
	idle := c.Idle
	if !c.Keepalive || s.Keepalive && s.Idle < idle {
		idle = s.Idle
	}
	var longest time.Duration
	for _, c := range t.all {
		longest = max(longest, c.longestIdle)
	}
	if longest > time.Duration(idle) {
		return fmt.Sprintf("No probe was seen, although a connection was quiet for %s and keepidle was %s.",
			Brief(longest), times.Clock(time.Duration(idle)))
	}
	return fmt.Sprintf("No probe was sent: the kernel waits for %s of quiet (keepidle), and no connection was quiet for longer than %s.",
		times.Clock(time.Duration(idle)), Brief(longest))
}

// idledOut speaks of the server's idle timeout, and of what did not hold it up.
func (t *Tracker) idledOut() string {
	var (
		ids         []int
		afterHTTP   span // since the last response
		afterAnswer span // since the last answered probe, where one came later
	)
	for _, c := range t.all {
		if c.idleClosed.IsZero() || c.lastResponse.IsZero() {
			continue
		}
		ids = append(ids, c.rec.ID)
		afterHTTP.add(c.idleClosed.Sub(c.lastResponse))
		if c.lastAnswer.After(c.lastResponse) {
			afterAnswer.add(c.idleClosed.Sub(c.lastAnswer))
		}
	}
	if len(ids) == 0 {
		return ""
	}
	which, last := "#"+strconv.Itoa(ids[0]), "its last response"
	if len(ids) > 1 {
		which, last = lower(connections(ids)), "the last response on each"
	}
	text := fmt.Sprintf("The server closed %s %s after %s, its idle timeout", which, &afterHTTP, last)
	if afterAnswer.n > 0 {
		return text + fmt.Sprintf(", and %s after a probe had been answered: a live peer is not a usable connection.", &afterAnswer)
	}
	return text + ", which only another request would have started anew."
}

func (t *Tracker) late() string {
	// Counters see a probe when they next look, which says nothing of when it
	// was sent.
	if t.lateness.n == 0 || t.header.Source == Counters {
		return ""
	}
	if t.lateness.min < 0 {
		return fmt.Sprintf("Probes came between %s and %s after the moment that the settings name.", Brief(t.lateness.min), Brief(t.lateness.max))
	}
	if t.lateness.n == 1 {
		return fmt.Sprintf("The probe came %s after the moment that the settings name: the kernel rounds its timers up.", &t.lateness)
	}
	return fmt.Sprintf("Probes came %s after the moment that the settings name, and never before it: the kernel rounds its timers up.", &t.lateness)
}

func (t *Tracker) kernelCount() string {
	if t.sum.KernelProbes == nil {
		return ""
	}
	kernel, seen := *t.sum.KernelProbes, t.sum.Events["probe"]
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

// connections names some connections: "Connections #1 and #2".
func connections(ids []int) string {
	const most = 4
	more := len(ids) - most
	if more <= 1 {
		more = 0 // the last name is as short as its number
	}
	names := make([]string, 0, most+1)
	for _, id := range ids[:len(ids)-more] {
		names = append(names, fmt.Sprintf("#%d", id))
	}
	if more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	if len(names) == 1 {
		return "Connection " + names[0]
	}
	last := len(names) - 1
	return "Connections " + strings.Join(names[:last], ", ") + " and " + names[last]
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }
