package httpka

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Reason is why a request went out on a new connection.
type Reason uint8

// The reasons. Each is given on evidence only: what was said or seen on a
// connection, or what net/http's pool has told of it. Where there is none it is
// NotKnown.
const (
	WasReused     Reason = iota // it did not: it reused one
	FirstRequest                // there was no connection to this server yet
	AllBusy                     // each had a request under way, which HTTP/1.1 answers in order (RFC 9112 section 9.3.2)
	ServerClose                 // the server said "Connection: close" (section 9.6)
	ClientClose                 // the client did
	MaxRequests                 // the server said close with the last request of the limit that it had announced: Keep-Alive: max=
	OldVersion                  // HTTP/1.0 without keep-alive (section 9.3)
	UntilClose                  // the body of a response ended with the connection (section 6.3, item 8)
	NotPersistent               // something else in the messages ended it: see Because
	ServerFIN                   // the server closed it without a word (section 9.5)
	ServerRST                   // the server reset it
	PeerGone                    // the client's kernel gave the server up: TCP keepalive, or a retransmission
	BodyUnread                  // a response's body was not read to its end (net/http; section 9.3)
	PoolFull                    // the pool had enough idle ones: net/http's MaxIdleConnsPerHost
	PoolTimeout                 // the pool closed it: net/http's IdleConnTimeout
	Failed                      // a request had failed on it
	Spare                       // this one had been opened for a request before, which another became free for
	NotKnown
)

var reasonNames = [...]string{
	WasReused: "", FirstRequest: "first", AllBusy: "busy", ServerClose: "server-close", ClientClose: "client-close",
	MaxRequests: "max-requests", OldVersion: "http/1.0", UntilClose: "until-close", NotPersistent: "not-persistent",
	ServerFIN: "server-fin", ServerRST: "server-rst", PeerGone: "peer-gone", BodyUnread: "body-unread",
	PoolFull: "pool-full", PoolTimeout: "pool-timeout", Failed: "failed", Spare: "spare", NotKnown: "unknown",
}

// String is one word, empty where a connection was reused.
func (r Reason) String() string { return reasonNames[r] }

// NotReused is why a request has a new connection, and what became of the one
// that it might have had.
type NotReused struct {
	Reason         Reason
	Conn           int // its number, 0 where there is none to name
	Client, Server netip.AddrPort
	Requests       int           // that it had carried
	Idle           time.Duration // before it ended, where it was idle
	Because        Why           // what in the messages ended it
	Crossed        bool          // it ended when a request was on its way, and unanswered
	Limit          int           // with MaxRequests: what was announced
	As             int           // an earlier connection that ended the same way after as many requests
}

// host is what a client knows of one server, under the client's mutex.
type host struct {
	open    map[*clientConn]struct{}
	waiting int         // requests that have no connection yet
	seen    bool        // there was a connection
	ended   []NotReused // connections that no request was sorry for yet
	after   map[int]int // requests after which the server ended a connection → its number
}

const maxEnded = 100 // remembered, of either

// hostKey tells servers apart as net/http's pool does.
func hostKey(secure bool, address string) string {
	if secure {
		return "https " + address
	}
	return "http " + address
}

// hostOf needs c.mu.
func (c *Client) hostOf(key string) *host {
	h := c.hosts[key]
	if h == nil {
		h = &host{open: map[*clientConn]struct{}{}, after: map[int]int{}}
		c.hosts[key] = h
	}
	return h
}

// asking is what there was when a request asked for a connection.
type asking struct {
	host *host
	seen bool
	busy int
	idle []*clientConn
}

func (c *Client) asks(key string) asking {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.hostOf(key)
	a := asking{host: h, seen: h.seen, busy: h.waiting}
	for cc := range h.open {
		switch {
		case cc.over:
		case cc.busy > 0:
			a.busy++
		default:
			a.idle = append(a.idle, cc)
		}
	}
	h.waiting++
	return a
}

func (c *Client) asksNoMore(a asking) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.host.waiting--
}

// assigned notes which connection a request has got, and why that one.
func (c *Client) assigned(cc *clientConn, before asking, x *Exchange) {
	cc.mu.Lock()
	quiet, nth := cc.quiet, cc.requests+1
	cc.mu.Unlock()
	x.Conn, x.Nth = cc.number, nth
	x.Client, x.Server = addrPort(cc.LocalAddr()), addrPort(cc.RemoteAddr())
	c.mu.Lock()
	defer c.mu.Unlock()
	x.Reused, x.Idle, x.Why, x.Connect, x.TLS, x.Saved = cc.used, 0, NotReused{}, 0, 0, 0
	if cc.used {
		x.Idle, x.Saved = time.Since(quiet), cc.connect+cc.handshake
	} else {
		x.Connect, x.TLS = cc.connect, cc.handshake
		x.Why = c.why(cc, before)
	}
	h := before.host
	h.waiting--
	h.seen, cc.used = true, true
	cc.busy++
}

// why needs c.mu.
func (c *Client) why(cc *clientConn, before asking) NotReused {
	h := before.host
	for _, idle := range before.idle {
		if idle == cc {
			return NotReused{Reason: Spare}
		}
	}
	if n := len(h.ended); n > 0 {
		last := h.ended[n-1]
		h.ended = h.ended[:n-1]
		return last
	}
	for _, idle := range before.idle {
		if idle.used && !idle.explained && idle.busy == 0 {
			// The pool has dropped it and is about to close it, or has taken
			// no notice of it.
			idle.explained = true
			r := NotReused{Reason: NotKnown, Conn: idle.number, Client: addrPort(idle.LocalAddr()), Server: addrPort(idle.RemoteAddr())}
			if d := time.Since(idle.idleSince); c.cfg.PoolIdle > 0 && d >= c.cfg.PoolIdle {
				r.Reason, r.Idle = PoolTimeout, d
			}
			return r
		}
	}
	switch {
	case before.busy > 0:
		return NotReused{Reason: AllBusy}
	case !before.seen:
		return NotReused{Reason: FirstRequest}
	}
	return NotReused{Reason: NotKnown}
}

// conclude says why the connection carries no more requests; the first word
// counts. It needs c.mu.
func (c *clientConn) conclude(r NotReused) {
	r.Conn, r.Requests = c.number, c.requests
	r.Client, r.Server = addrPort(c.LocalAddr()), addrPort(c.RemoteAddr())
	if r.Crossed {
		r.Requests--
	}
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	if c.over {
		return
	}
	c.over = true
	h := c.host
	switch r.Reason {
	case ServerClose, MaxRequests, ServerFIN, ServerRST:
		r.As = h.after[r.Requests]
		if len(h.after) < maxEnded {
			h.after[r.Requests] = c.number
		}
	}
	if c.used && !c.explained {
		h.ended = append(h.ended, r)
		if len(h.ended) > maxEnded {
			h.ended = h.ended[1:]
		}
	}
}

// because is the reason that a verdict on the messages amounts to. It needs
// c.mu.
func (c *clientConn) because(r Reuse) NotReused {
	n := NotReused{Because: r.Why}
	switch r.Why {
	case WhyClose:
		n.Reason = ClientClose
		if r.By == ByServer {
			n.Reason = ServerClose
			if c.limit.reached(c.requests) {
				n.Reason, n.Limit = MaxRequests, c.requests
			}
		}
	case WhyOldVersion:
		n.Reason = OldVersion
	case WhyUntilClose:
		n.Reason = UntilClose
	default:
		n.Reason = NotPersistent
	}
	return n
}

// announced is what a server has said of how many requests a connection may
// carry: "Keep-Alive: max=". No standard says what it counts. Apache counts down
// what is left after this response; Node names the whole limit each time.
type announced struct {
	total map[int]bool // requests in all, by either reading
}

func (a *announced) note(m Message) {
	for item := range strings.SplitSeq(m.KeepAlive, ",") {
		name, value, _ := strings.Cut(item, "=")
		n, err := strconv.Atoi(strings.Trim(value, " \t\""))
		if !strings.EqualFold(strings.TrimSpace(name), "max") || err != nil || n < 0 {
			continue
		}
		if a.total == nil {
			a.total = map[int]bool{}
		}
		if len(a.total) < maxEnded {
			a.total[n], a.total[m.Nth+n] = true, true
		}
	}
}

// reached reports that a connection which ends after n requests has carried as
// many as were announced.
func (a *announced) reached(n int) bool { return a.total[n] }
