package httpka

import (
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
// that net/http writes, so it tells the headers as they are sent.
type serverConn struct {
	net.Conn
	emit func(Event)

	mu        sync.Mutex // net/http reads in the background while it writes
	request   Event      // the one being answered: method and target
	responses int
	answering bool      // the next bytes written begin a response
	version   string    // of the last response, empty while a request is under way
	said      string    // its Connection header
	idleSince time.Time // zero while a request is under way
	readErr   error     // of the last read since then
	reset     bool      // by the client, which only one read tells
	closed    bool
}

func (c *serverConn) event(e Event) {
	e.FromServer = true
	e.Time = time.Now()
	e.Client, e.Server = addrPort(c.RemoteAddr()), addrPort(c.LocalAddr())
	c.emit(e)
}

// enter follows net/http's own view of the connection.
func (c *serverConn) enter(state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
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

func (c *serverConn) received(r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.request = Event{Method: r.Method, Target: r.RequestURI}
}

func (c *serverConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readErr = err
	c.reset = c.reset || errors.Is(err, syscall.ECONNRESET)
	return n, err
}

func (c *serverConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	if c.answering {
		c.answer(b)
	}
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// answer reports the response that begins with b.
func (c *serverConn) answer(b []byte) {
	e := c.request
	if !readHead(b, &e) {
		return
	}
	switch {
	case e.Status == http.StatusSwitchingProtocols:
		e.Kind, c.answering = Upgrade, false
	case e.Status < 200:
		e.Kind = Interim
	default:
		e.Kind, c.answering = Response, false
		c.responses++
		e.Nth, e.Reused = c.responses, c.responses > 1
		c.version, c.said = e.Version, e.Connection
	}
	c.event(e)
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
	if !c.closed {
		c.closed = true
		c.farewell()
	}
	c.mu.Unlock()
	return c.Conn.Close()
}

// farewell reports why the connection ends.
func (c *serverConn) farewell() {
	idle := !c.idleSince.IsZero()
	e := Event{Kind: Closed, Nth: c.responses}
	switch {
	case idle && errors.Is(c.readErr, os.ErrDeadlineExceeded):
		e.Idle = time.Since(c.idleSince)
		e.Reason = "idle timeout"
		c.event(Event{Kind: IdleClose, Idle: e.Idle})
	case !idle && c.version == "" && errors.Is(c.readErr, os.ErrDeadlineExceeded):
		e.Reason = "no request in time"
	case !idle && strings.EqualFold(c.said, "close"):
		e.Reason = "said Connection: " + c.said // whoever was quicker to close
	case !idle && c.version == "HTTP/1.0" && c.said == "":
		e.Reason = "HTTP/1.0 without keep-alive"
	case c.reset:
		e.Reason = "the client reset it"
	case errors.Is(c.readErr, io.EOF):
		e.Reason = "the client closed"
	default:
		e.Reason = "the server stops"
	}
	c.event(e)
}

// resetOnClose makes the end of the connection a RST (socket(7), SO_LINGER).
func (c *serverConn) resetOnClose() error {
	if l, ok := c.Conn.(interface{ SetLinger(sec int) error }); ok {
		return l.SetLinger(0)
	}
	return errors.ErrUnsupported
}
