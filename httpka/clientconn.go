package httpka

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A clientConn watches one connection of a client: the requests that are put on
// it, what comes back, and how it ends. It is above TLS, and below net/http.
type clientConn struct {
	net.Conn
	client    *Client
	host      *host
	number    int
	connect   time.Duration // name and TCP
	handshake time.Duration // TLS

	mu       sync.Mutex
	talk     Conversation
	next     *Event  // the request whose first bytes are still to be written
	held     []byte  // of its head, to be made HTTP/1.0
	close    bool    // its Connection: close was asked for, and is sent by HTTP/1.0 too
	requests int     // put on it
	seen     *seen   // the exchange under way, or the last
	got      Message // the last final response
	verdict  Reuse   // after it
	answered bool    // no request is under way
	quiet    time.Time
	limit    announced
	heads    [2]tap
	total    int64 // bytes from the server
	spoke    bool  // it has said more than it was asked for
	alien    error // what comes is not HTTP/1
	resetErr bool  // a write was told of a reset

	// Guarded by client.mu.
	busy      int  // requests that have it: one, or for a moment two, when the pool is quick
	used      bool // by a request
	over      bool // it carries no more of them
	explained bool // that it does not was told already
	closed    bool
	idleSince time.Time // quiet, again
}

// seen is what crossed a connection for one exchange, under the connection's
// mutex.
type seen struct {
	sent, got Message
	verdict   Reuse
}

func (c *clientConn) event(e Event) {
	e.Time = time.Now()
	e.Client, e.Server = addrPort(c.LocalAddr()), addrPort(c.RemoteAddr())
	c.client.cfg.OnEvent(e)
}

// failed tells of an exchange that has failed on the connection.
func (c *clientConn) failed(x *Exchange, err error) {
	c.event(Event{Kind: Error, Method: x.Method, Target: x.Target, Err: err})
}

// expect makes ready for a request. close says that "Connection: close" was asked
// for.
func (c *clientConn) expect(e Event, close bool) *seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next, c.seen, c.close = &e, &seen{}, close
	c.answered = false
	return c.seen
}

func (c *clientConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	send := b
	if c.next != nil && c.client.cfg.HTTP10 {
		if send = c.old(b); send == nil {
			c.mu.Unlock()
			return len(b), nil
		}
	}
	if e := c.next; e != nil {
		c.next = nil
		c.requests++
		e.Nth = c.requests
		var m Message
		if n, _ := readHead(send, &m); n > 0 { // where the head is long, what is known still holds
			e.says(&m)
		}
		c.event(*e)
	}
	c.listen(false, send)
	c.mu.Unlock()
	n, err := c.Conn.Write(send)
	if err != nil {
		c.mu.Lock()
		// EPIPE: a read was told of the reset before.
		c.resetErr = c.resetErr || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
		c.mu.Unlock()
		return min(n, len(b)), err
	}
	return len(b), nil
}

// old makes the head of a request one of HTTP/1.0, once it is whole. net/http
// writes HTTP/1.1 only.
func (c *clientConn) old(b []byte) []byte {
	c.held = append(c.held, b...)
	head, rest := c.held, []byte(nil)
	if n := bytes.Index(c.held, []byte("\r\n\r\n")); n >= 0 {
		head, rest = c.held[:n+2], c.held[n+2:]
	} else if len(c.held) < maxHead {
		return nil
	}
	c.held = nil
	head = bytes.Replace(head, []byte(" HTTP/1.1\r\n"), []byte(" HTTP/1.0\r\n"), 1)
	if !c.close {
		head = bytes.Replace(head, []byte("\r\nConnection: close\r\n"), []byte("\r\n"), 1) // see do
	}
	return append(head, rest...)
}

func (c *clientConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	spoke := c.spoke
	c.mu.Unlock()
	if spoke {
		return 0, errUnsolicited
	}
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	if c.requests == 0 && n > 0 && isHTTP2(b[:n]) {
		// A server that speaks first, and not HTTP/1.
		c.alien = ErrHTTP2
		n, err = 0, ErrHTTP2
	}
	if n > 0 && c.next == nil && (c.requests == 0 || c.answered) {
		// net/http would write this to the standard log. Servers send a 408 so.
		n, err = 0, errUnsolicited
		c.spoke = true
		if c.requests == 0 && c.alien == nil {
			c.alien = errUnsolicited
		}
		c.conclude(NotReused{Reason: NotPersistent, Because: WhyUnsolicited})
	}
	c.listen(true, b[:n])
	if c.total += int64(n); c.answered && c.got.Framing != BodyTunnel && c.total > c.got.End {
		n -= int(min(c.total-c.got.End, int64(n))) // the same, right behind a response
		c.spoke = true
	}
	if err != nil {
		c.talk.Close(true)
	}
	c.mu.Unlock()
	if err != nil {
		c.ends(err)
	}
	return n, err
}

// errUnsolicited ends a connection whose server speaks without being asked (RFC
// 9112 section 9.2).
var errUnsolicited = errors.New("the server sent what no request had asked for")

// listen needs c.mu.
func (c *clientConn) listen(fromServer bool, b []byte) {
	if len(b) == 0 {
		return
	}
	if c.client.cfg.OnHead != nil {
		c.heads[direction(fromServer)].add(b)
	}
	c.talk.Feed(fromServer, b)
}

// found takes what the conversation finds; c.mu is held.
func (c *clientConn) found(f *Finding) {
	m := f.Message
	if c.client.cfg.OnHead != nil && f.Stage == HeadComplete {
		c.client.cfg.OnHead(c.number, m.FromServer, c.heads[direction(m.FromServer)].cut(m.Start, m.HeadEnd))
	}
	if m.FromServer && m.Nth == 0 && f.Stage == HeadComplete {
		c.conclude(NotReused{Reason: NotPersistent, Because: WhyUnsolicited})
	}
	if c.seen == nil || m.FromServer && m.Nth == 0 && m.HeadEnd > 0 {
		return // there is no exchange to note it for
	}
	defer func() { c.seen.got, c.seen.verdict = c.got, c.verdict }()
	switch {
	case !m.FromServer:
		c.seen.sent = m
	case f.Stage == HeadComplete:
		c.tellResponse(m)
		if !m.Interim() {
			c.got, c.verdict = m, f.Reuse
			c.limit.note(m)
		}
	case m.Interim():
	case f.Stage == MessageBroken:
		if c.alien == nil && c.got.Status == 0 && errors.Is(f.Err, ErrNotHTTP) {
			c.alien = f.Err
		}
		c.verdict = f.Reuse
	default:
		c.got, c.verdict, c.answered = m, f.Reuse, true
		c.rests()
		if f.Reuse.May == ReuseNo {
			c.conclude(c.because(f.Reuse))
		}
	}
}

// rests notes that a response is complete: before the pool knows, so that what
// the pool times is never longer than what this does. It needs c.mu.
func (c *clientConn) rests() {
	c.quiet = time.Now()
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	c.idleSince = c.quiet
}

// tellResponse tells of a response for a server that does not.
func (c *clientConn) tellResponse(m Message) {
	if !c.client.cfg.Responses {
		return
	}
	e := Event{Kind: Response, FromServer: true, Nth: m.Nth, Reused: m.Nth > 1}
	e.says(&m)
	switch {
	case m.Interim():
		e.Kind = Interim
	case m.Status == 101:
		e.Kind = Upgrade
	}
	c.event(e)
}

// back takes what the pool says when a request gives the connection back.
func (c *clientConn) back(err error) {
	// net/http has no value to compare with; a test holds the text.
	if err != nil && strings.Contains(err.Error(), "too many idle connections for host") {
		c.finish(NotReused{Reason: PoolFull})
		return
	}
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	c.busy--
}

// ends takes the end of what can be read.
func (c *clientConn) ends(err error) {
	c.mu.Lock()
	answered, requests, verdict := c.answered, c.requests, c.verdict
	idle := time.Duration(0)
	if answered {
		idle = time.Since(c.quiet)
	}
	reset := c.resetErr
	c.mu.Unlock()
	why := NotReused{Idle: idle, Crossed: !answered && requests > 1}
	switch {
	case requests == 0 || answered && verdict.May == ReuseNo:
		return // nothing depends on it any more
	case !answered && requests == 1:
		return // the failure says it
	case !answered && c.begun():
		return // cut inside a response
	case errors.Is(err, syscall.ETIMEDOUT):
		why.Reason = PeerGone
	case reset, errors.Is(err, syscall.ECONNRESET):
		why.Reason = ServerRST
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // the latter: TLS without its goodbye
		why.Reason = ServerFIN
	default:
		return
	}
	c.finish(why)
}

// begun reports that a response to the last request has begun.
func (c *clientConn) begun() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got.Nth == c.requests
}

// fails says that the exchange under way has failed, and what is known of why.
func (c *clientConn) fails(err error) error {
	c.mu.Lock()
	silent := c.got.Nth < c.requests
	alien, reset, crossed := c.alien, c.resetErr, c.requests > 1 && silent
	c.mu.Unlock()
	switch {
	case errors.Is(alien, ErrNotHTTP):
		err = fmt.Errorf("what the server sent is %w", alien)
	case alien != nil:
		err = alien
	case errors.Is(err, io.EOF) && silent:
		err = fmt.Errorf("the server closed the connection without a response: %w", err)
	case isReset(err) && silent:
		err = fmt.Errorf("the server reset the connection without a response: %w", plain(err))
	}
	why := NotReused{Reason: Failed}
	if reset && crossed {
		why = NotReused{Reason: ServerRST, Crossed: true}
	}
	c.finish(why)
	return err
}

func (c *clientConn) Close() error {
	c.mu.Lock()
	idle, quiet := c.answered, c.quiet
	c.mu.Unlock()
	c.client.mu.Lock()
	closing, first := c.client.closing, !c.closed
	c.closed = true
	c.client.mu.Unlock()
	if first && idle && !closing {
		why := NotReused{Reason: NotKnown}
		if d := time.Since(quiet); c.client.cfg.PoolIdle > 0 && d >= c.client.cfg.PoolIdle {
			why = NotReused{Reason: PoolTimeout, Idle: d}
		}
		c.finish(why)
	}
	err := c.Conn.Close()
	c.client.forget(c)
	return err
}

// finish says why the connection carries no more requests; the first word
// counts.
func (c *clientConn) finish(why NotReused) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conclude(why)
}
