package timeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"kax/httpka"
)

// RequestSettings are those of a client that asks servers of others.
type RequestSettings struct {
	Requests    int     `json:"requests"`
	Concurrency int     `json:"concurrency"`
	PoolIdle    Seconds `json:"pool_idle"` // 0 is for ever
	PoolSize    int     `json:"pool_size"`
	HTTP10      bool    `json:"http10"`
}

// Exchange is one request and what came of it.
type Exchange struct {
	At     Seconds `json:"at"` // its end
	N      int     `json:"n"`
	Conn   int     `json:"conn,omitempty"`
	Nth    int     `json:"nth,omitempty"` // on the connection
	Method string  `json:"method"`
	URL    string  `json:"url"`

	Sent   Message `json:"sent"`
	Status int     `json:"status,omitempty"`
	Got    Message `json:"got,omitzero"`

	Reused    bool    `json:"reused"`
	Why       string  `json:"why,omitempty"`      // it was not
	WhyConn   int     `json:"why_conn,omitempty"` // the connection that this is about
	Because   string  `json:"because,omitempty"`  // the same in words
	Idle      Seconds `json:"idle,omitempty"`
	Retried   bool    `json:"retried,omitempty"`
	Next      string  `json:"next"` // may the connection carry another request: yes, no or unknown, and why
	Connect   Seconds `json:"connect,omitempty"`
	TLS       Seconds `json:"tls,omitempty"`
	Saved     Seconds `json:"saved,omitempty"`
	FirstByte Seconds `json:"first_byte,omitempty"`
	Total     Seconds `json:"total"`
	Body      int64   `json:"body"`
	Location  string  `json:"location,omitempty"`
	Error     string  `json:"error,omitempty"`
}

// exchanges are what the verdicts need of them.
type exchanges struct {
	n, reused, failed int
	conns             map[int]bool
	saved             time.Duration
	reasons           map[string]int // why not
	limits            map[int][]int  // requests after which servers said close → connections
	numbers           map[int]int    // a client's number of a connection → the timeline's
}

// Exchange takes what a client tells of its n-th request, which asked for url.
func (t *Tracker) Exchange(at time.Time, n int, url string, x *httpka.Exchange) {
	s := &t.exchanges
	if s.n == 0 {
		s.conns, s.reasons, s.limits, s.numbers = map[int]bool{}, map[string]int{}, map[int][]int{}, map[int]int{}
	}
	s.n++
	e := Exchange{
		At: t.since(momentOf(at)), N: n, Nth: x.Nth, Method: x.Method, URL: url,
		Sent: messageOf(x.Sent), Status: x.Status, Got: messageOf(x.Got),
		Reused: x.Reused, Why: x.Why.Reason.String(), Idle: Seconds(x.Idle), Retried: x.Retried, Next: x.Reuse.String(),
		Connect: Seconds(x.Connect), TLS: Seconds(x.TLS), Saved: Seconds(x.Saved), FirstByte: Seconds(x.FirstByte),
		Total: Seconds(x.Total), Body: x.Body, Location: x.Location,
	}
	if x.Conn > 0 {
		e.Conn = t.number(x.Conn, pair{x.Client, x.Server})
		s.conns[e.Conn] = true
		if !x.Reused {
			if x.Why.Conn > 0 {
				e.WhyConn = t.number(x.Why.Conn, pair{x.Why.Client, x.Why.Server})
			}
			e.Because = because(x.Why, e.WhyConn, s.numbers[x.Why.As])
			s.reasons[e.Why]++
		}
	}
	if x.Err != nil {
		e.Error = x.Err.Error()
		s.failed++
	}
	if x.Reused && x.Err == nil {
		s.reused++
		s.saved += x.Saved
	}
	if x.Conn > 0 && x.Reuse.May == httpka.ReuseNo && x.Reuse.Why == httpka.WhyClose && x.Reuse.By == httpka.ByServer {
		s.limits[x.Nth] = append(s.limits[x.Nth], e.Conn)
	}
	t.emit(Record{Exchange: &e})
}

func messageOf(m httpka.Message) Message {
	return Message{Version: m.Version, Connection: m.Connection, KeepAlive: m.KeepAlive}
}

// number is a connection's on the timeline. The ports of one that is over may
// be in use again: the client's own numbers stay.
func (t *Tracker) number(of int, p pair) int {
	n, ok := t.exchanges.numbers[of]
	if !ok {
		n = t.named(p).rec.ID
		t.exchanges.numbers[of] = n
	}
	return n
}

// because says in words why a request has a new connection. conn and as are the
// timeline's numbers.
func because(w httpka.NotReused, conn, as int) string {
	on := fmt.Sprintf("#%d", conn)
	after := "after " + Count(w.Requests, "request")
	if as > 0 && w.Requests > 1 {
		after += fmt.Sprintf(", as on #%d", as)
	}
	idle := "when it had been idle for " + Brief(w.Idle)
	if w.Crossed {
		idle = "as the next request was on its way"
	}
	switch w.Reason {
	case httpka.WasReused:
		return ""
	case httpka.FirstRequest:
		return "the first request to this server"
	case httpka.AllBusy:
		return "every connection was busy with another request"
	case httpka.ServerClose:
		return fmt.Sprintf("the server said Connection: close on %s %s", on, after)
	case httpka.ClientClose:
		return fmt.Sprintf("the client said Connection: close on %s", on)
	case httpka.MaxRequests:
		return fmt.Sprintf("%s had carried the %s that the server allows it, as it had announced, and the server said close", on, Count(w.Limit, "request"))
	case httpka.OldVersion:
		return fmt.Sprintf("HTTP/1.0 without keep-alive on %s", on)
	case httpka.UntilClose:
		return fmt.Sprintf("the body of the response on %s ended with the connection", on)
	case httpka.NotPersistent:
		return fmt.Sprintf("%s was of no more use: %s", on, w.Because)
	case httpka.ServerFIN:
		return fmt.Sprintf("the server closed %s (FIN) %s, %s", on, after, idle)
	case httpka.ServerRST:
		return fmt.Sprintf("the server reset %s (RST) %s, %s", on, after, idle)
	case httpka.PeerGone:
		return fmt.Sprintf("the kernel gave up the peer of %s, which answered no more", on)
	case httpka.BodyUnread:
		return fmt.Sprintf("the body of the response on %s was not read to its end", on)
	case httpka.PoolFull:
		return fmt.Sprintf("the client's pool was full, and closed %s", on)
	case httpka.PoolTimeout:
		return fmt.Sprintf("the client's pool closed %s after %s, its own idle timeout", on, Brief(w.Idle))
	case httpka.Failed:
		return fmt.Sprintf("the request before had failed on %s", on)
	case httpka.Spare:
		return "opened for an earlier request, which another connection became free for"
	}
	if conn > 0 {
		return fmt.Sprintf("unknown: nothing was seen that ended %s", on)
	}
	return "unknown"
}

func (s *exchanges) verdicts() (v []string) {
	if len(s.conns) == 0 {
		return []string{fmt.Sprintf("%s failed: none got as far as a connection that could carry it.", Count(s.n, "request"))}
	}
	text := fmt.Sprintf("%s over %s: ", Count(s.n, "request"), Count(len(s.conns), "connection"))
	if s.reused == 0 {
		text += "none reused one"
	} else {
		share := min((s.reused*100+s.n/2)/s.n, 99) // never all: the first has a new one
		text += fmt.Sprintf("%d reused one (%d %%), which saved about %s of handshakes", s.reused, share, Brief(s.saved))
	}
	if s.failed > 0 {
		text += fmt.Sprintf("; %d failed", s.failed)
	}
	v = append(v, text+".")
	var why []string
	for reason, n := range s.reasons {
		if reason != httpka.FirstRequest.String() {
			why = append(why, fmt.Sprintf("%s %d×", reason, n))
		}
	}
	if len(why) > 0 {
		slices.Sort(why)
		v = append(v, "New connections besides the first, by reason: "+strings.Join(why, ", ")+".")
	}
	for n, conns := range s.limits {
		if n > 1 && len(conns) > 1 && len(s.limits) == 1 {
			v = append(v, fmt.Sprintf("The server said close with request %d on each of %d connections: that looks like its limit of requests.", n, len(conns)))
		}
	}
	return v
}
