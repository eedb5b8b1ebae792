package httpka

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A serverConn reports what a server puts on one connection. It sees the bytes
// that net/http writes, before TLS, so it tells the headers as they are sent.
type serverConn struct {
	net.Conn          // what net/http talks to
	socket   net.Conn // the same, or what is under its TLS
	server   *Server
	number   int
	opened   time.Time

	mu        sync.Mutex // net/http reads in the background while it writes
	state     http.ConnState
	request   Event // the one being answered: method and target
	responses int
	answering bool      // the next bytes written begin a response
	held      []byte    // of its head, which is not whole yet
	version   string    // of the last response, empty while a request is under way
	said      string    // its Connection header
	last      bool      // MaxRequests allows no request after this one
	idleSince time.Time // zero while a request is under way
	readErr   error     // of the last read since then
	reset     bool      // by the client, which only one read or write tells
	timedOut  bool      // the kernel has given the client up, which is told once too
	broken    bool      // a response could not be written
	abortive  bool      // Close is to send a RST
	why       string    // the connection ends, where its bytes do not tell
	closed    bool
}

func (c *serverConn) event(e Event) {
	e.FromServer = true
	e.Time = time.Now()
	e.Conn = c.number
	e.Client, e.Server = addrPort(c.RemoteAddr()), addrPort(c.LocalAddr())
	c.server.cfg.OnEvent(e)
}

// enter follows net/http's own view of the connection.
func (c *serverConn) enter(state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = state
	switch state {
	case http.StateActive:
		c.answering, c.idleSince, c.request = true, time.Time{}, Event{}
		c.version, c.said = "", ""
	case http.StateIdle:
		// net/http ends its background read with a deadline of its own, so
		// only a read error from now on is the idle timeout's.
		c.idleSince, c.readErr = time.Now(), nil
	}
}

// received reports whether the request is the last one that is allowed.
func (c *serverConn) received(r *http.Request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.request = Event{Method: r.Method, Target: r.RequestURI}
	limit := c.server.cfg.MaxRequests
	c.last = limit > 0 && c.responses+1 >= limit
	return c.last
}

func (c *serverConn) Read(b []byte) (int, error) {
	if err := c.handshake(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readErr = err
	c.notice(err)
	return n, err
}

// notice keeps what one call alone is told.
func (c *serverConn) notice(err error) {
	c.reset = c.reset || errors.Is(err, syscall.ECONNRESET)
	c.timedOut = c.timedOut || errors.Is(err, syscall.ETIMEDOUT)
}

func (c *serverConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	before, send := c.responses, b
	if c.answering {
		send = c.answer(b)
	}
	c.mu.Unlock()
	if len(send) == 0 {
		return len(b), nil
	}
	n, err := c.Conn.Write(send)
	if err == nil {
		return len(b), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n == 0 {
		c.responses = before // told, but never sent
	}
	c.failed(err)
	return min(n, len(b)), err
}

// answer reports the response that begins with b, and returns what is to be
// sent of it now. net/http writes a long head in pieces: they wait for its end,
// so that it is told before it is sent.
func (c *serverConn) answer(b []byte) []byte {
	if len(c.held) > 0 {
		b = append(c.held, b...)
		c.held = nil
	}
	var send []byte
	for c.answering && len(b) > 0 {
		m := Message{FromServer: true}
		n, err := readHead(b, &m)
		if err != nil {
			c.answering = false // no HTTP: hijacked
			break
		}
		if n == 0 {
			c.held = bytes.Clone(b)
			return send
		}
		send = append(send, c.tell(b[:n], &m)...)
		b = b[n:]
	}
	return append(send, b...)
}

// tell reports a response by its head, and returns the head as it is sent.
func (c *serverConn) tell(head []byte, m *Message) []byte {
	e := c.request
	e.says(m)
	switch {
	case e.Status == http.StatusSwitchingProtocols:
		e.Kind, c.answering = Upgrade, false
	case e.Status < 200:
		if c.server.cfg.HTTP10 {
			return nil // RFC 9110 section 15.2: HTTP/1.0 has none
		}
		e.Kind = Interim
	default:
		c.responses++
		head = c.dress(head, e)
		dressed := Message{FromServer: true}
		if n, _ := readHead(head, &dressed); n > 0 {
			e.says(&dressed)
		}
		e.Kind, c.answering = Response, false
		e.Nth, e.Reused = c.responses, c.responses > 1
		c.version, c.said = e.Version, e.Connection
	}
	c.event(e)
	return head
}

// failed reports that a response could not be sent, in whole or in part.
func (c *serverConn) failed(err error) {
	c.notice(err)
	// The reset may have been told to a read that nobody waited for: then
	// writing has an error of its own (send(2)).
	c.reset = c.reset || errors.Is(err, syscall.EPIPE)
	if !c.broken && !c.closed {
		c.broken = true
		e := c.request
		e.Kind, e.Err = Error, err
		c.event(e)
	}
}

// CloseWrite lets net/http say goodbye before it stops reading.
func (c *serverConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *serverConn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.Conn.Close()
	}
	c.closed = true
	e := c.farewell()
	c.event(e)
	last, held, abortive := c.status(), c.held, c.abortive
	c.mu.Unlock()
	last.State, last.Closed = "closed", e.Reason
	c.server.forget(c, last)
	defer c.server.conns.closed()
	if len(held) > 0 {
		_, _ = c.Conn.Write(held) // a head without an end
	}
	if abortive {
		return c.socket.Close() // without TLS's own goodbye
	}
	return c.Conn.Close()
}

// farewell says why the connection ends.
func (c *serverConn) farewell() Event {
	idle := !c.idleSince.IsZero()
	e := Event{Kind: Closed, Nth: c.responses}
	if !idle && c.version == "" {
		e.Method, e.Target = c.request.Method, c.request.Target
	}
	switch {
	case c.why != "":
		e.Reason = c.why
	case c.timedOut:
		e.Reason = "the client is gone: " + syscall.ETIMEDOUT.Error()
	case c.broken && c.reset:
		e.Reason = "the client reset it"
	case idle && errors.Is(c.readErr, os.ErrDeadlineExceeded):
		e.Idle = time.Since(c.idleSince)
		e.Reason = "idle timeout"
		c.event(Event{Kind: IdleClose, Idle: e.Idle})
	case !idle && c.version == "" && errors.Is(c.readErr, os.ErrDeadlineExceeded):
		e.Reason = "no request in time"
	case !idle && c.version != "" && c.last:
		e.Reason = "max requests"
	case !idle && strings.EqualFold(c.said, "close"):
		e.Reason = "said Connection: " + c.said // whoever was quicker to close
	case !idle && c.version == "HTTP/1.0" && c.said == "":
		e.Reason = "HTTP/1.0 without keep-alive"
	case c.reset:
		e.Reason = "the client reset it"
	case errors.Is(c.readErr, io.EOF), errors.Is(c.readErr, io.ErrUnexpectedEOF): // the latter under TLS
		e.Reason = "the client closed"
	default:
		e.Reason = "the server stops"
	}
	return e
}

// because says why the connection is about to end.
func (c *serverConn) because(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.why = why
}

// resetOnClose makes the end of the connection a RST (socket(7), SO_LINGER).
func (c *serverConn) resetOnClose() error {
	l, ok := c.socket.(interface{ SetLinger(sec int) error })
	if !ok {
		return errors.ErrUnsupported
	}
	if err := l.SetLinger(0); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abortive = true
	return nil
}
