package timeline

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// tally sums up connections that are over, for the verdicts. Its size does not
// grow with their number.
type tally struct {
	once struct { // carried one request, because a message said close
		ids ids
		by  map[Side]bool
		how map[CloseHow]bool
	}
	reused struct { // carried more than one request to an answer
		ids      ids
		requests int
	}
	withRequests ids
	lost         ids // closed by the server with requests unanswered
	lostRequests int

	probed struct {
		ids                        ids
		probes, answered, byClient int
		bytes                      int // that probes carried
		requests, responses        int
	}
	apart        span // probes, one from another, while nothing else passed
	windowProbed ids
	windowProbes int
	longestIdle  time.Duration

	idledOut struct { // closed by the server's idle timeout
		ids         ids
		afterHTTP   span // since the last response
		afterAnswer span // since the last answered probe, where one came later
	}
	opaque opaques
	deaths sentences
	proofs proofs

	longestIdleOf int // connection
}

func (t *tally) add(c *conn) {
	id := c.rec.ID
	t.proofs.over(c)
	if c.saidClose != "" && c.rec.Requests == 1 {
		if t.once.by == nil {
			t.once.by, t.once.how = map[Side]bool{}, map[CloseHow]bool{}
		}
		t.once.ids.add(id)
		t.once.by[c.saidClose], t.once.how[c.rec.Close] = true, true
	}
	if c.rec.Requests > 0 {
		t.withRequests.add(id)
	}
	if n := c.served(); n > 1 {
		t.reused.ids.add(id)
		t.reused.requests += n
	}
	if n := c.rec.Requests - c.served(); n > 0 && c.rec.ClosedBy == Server {
		t.lost.add(id)
		t.lostRequests += n
	}
	if c.rec.Probes > 0 {
		p := &t.probed
		p.ids.add(id)
		p.probes += c.rec.Probes
		p.answered += c.rec.Answered
		p.byClient += int(c.half[client].probes)
		p.bytes += int(c.probeBytes)
		p.requests += c.rec.Requests
		p.responses += c.responses
	}
	if c.rec.WindowProbes > 0 {
		t.windowProbed.add(id)
		t.windowProbes += c.rec.WindowProbes
	}
	if c.longestIdle > t.longestIdle {
		t.longestIdle, t.longestIdleOf = c.longestIdle, id
	}
	if c.idleClosed != 0 && c.lastResponse != 0 {
		t.idledOut.ids.add(id)
		t.idledOut.afterHTTP.add(c.idleClosed.since(c.lastResponse))
		if c.answeredLast > c.lastResponse {
			t.idledOut.afterAnswer.add(c.idleClosed.since(c.answeredLast))
		}
	}
}

// served is how many requests the connection did carry to an answer.
func (c *conn) served() int { return min(c.responses, c.rec.Requests) }

// ids are numbers of connections: how many, and the first of them.
type ids struct {
	n     int
	first [namedConns + 1]int
}

// namedConns is how many connections a sentence names.
const namedConns = 4

func (s *ids) add(id int) {
	if s.n < len(s.first) {
		s.first[s.n] = id
	}
	s.n++
}

// String names them: "Connections #1 and #2".
func (s *ids) String() string {
	more := s.n - namedConns
	if more <= 1 {
		more = 0 // the last name is as short as its number
	}
	named := s.first[:s.n-more]
	slices.Sort(named)
	names := make([]string, 0, len(named)+1)
	for _, id := range named {
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

func (s *ids) lower() string { return lower(s.String()) }

// is is the verb that goes with them.
func (s *ids) is() string {
	if s.n == 1 {
		return "is"
	}
	return "are"
}

// opaques are the connections that carry something else than HTTP/1.
type opaques struct{ tls, http2, other ids }

func (o *opaques) add(protocol string, id int) {
	switch protocol {
	case "tls":
		o.tls.add(id)
	case "http/2":
		o.http2.add(id)
	default:
		o.other.add(id)
	}
}

func (o *opaques) proof() Proof {
	return Proof{Conns: slices.Concat(o.tls.proof().Conns, o.http2.proof().Conns, o.other.proof().Conns)}
}

func (o *opaques) n() int { return o.tls.n + o.http2.n + o.other.n }

// sentences are some of a kind, each with its proof.
type sentences struct {
	first  []string
	proofs []Proof
	n      int
}

// maxDeaths is how many of the same kind are enough.
const maxDeaths = 3

func (s *sentences) add(text string, p Proof) {
	if s.n++; s.n <= maxDeaths {
		s.first, s.proofs = append(s.first, text), append(s.proofs, p)
	}
}
