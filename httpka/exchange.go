package httpka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"sync"
	"time"
)

// An Exchange is one request and what came of it.
type Exchange struct {
	Conn           int // the client's number of the connection, from 1; 0 where there was none
	Client, Server netip.AddrPort
	Nth            int           // which request on the connection, from 1
	Reused         bool          // the connection has carried a request before
	Why            NotReused     // where it has not
	Idle           time.Duration // how long it was idle before
	Retried        bool          // it is a second attempt: the first met the end of its connection

	Method, Target string
	Sent           Message // the request as it went out
	Status         int     // 0 without a response
	Got            Message // the response's head
	Location       string  // where a redirect leads: it is not followed
	Body           int64   // bytes that were read
	Reuse          Reuse   // may the connection carry another request?

	Connect   time.Duration // of a new connection: the name, and TCP's handshake
	TLS       time.Duration // and TLS's
	Saved     time.Duration // of a reused one: what these took on it
	FirstByte time.Duration // from having the connection to the first byte of the response
	Total     time.Duration

	Err error
}

// Bounds limit one [Client.Exchange].
type Bounds struct {
	Timeout time.Duration // 0 is none
	Read    int64         // bytes of the body after which it is closed, unread; 0 or less is all of it
}

// Exchange sends req, reads the response, and tells what happened.
func (c *Client) Exchange(req *http.Request, b Bounds) *Exchange {
	x, p, began := &Exchange{}, &progress{}, time.Now()
	ctx, cancel, over := req.Context(), context.CancelFunc(func() {}), &tooLong{b.Timeout}
	if b.Timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, b.Timeout, over)
	}
	defer cancel()
	resp, err := c.do(req.WithContext(ctx), x, p)
	if err == nil {
		x.Status, x.Location = resp.StatusCode, resp.Header.Get("Location")
		p.at(waitingForBody)
		x.Body, err = c.read(resp, p.conn(), b.Read)
		if err != nil && p.conn() != nil {
			err = p.conn().fails(err)
			if errors.Is(err, io.ErrUnexpectedEOF) || isReset(err) {
				err = fmt.Errorf("the body broke off after %d bytes: %w", x.Body, plain(err))
			}
			p.conn().failed(x, err)
		}
	}
	if err != nil && errors.Is(context.Cause(ctx), over) {
		err = &WaitError{For: p.what(), After: b.Timeout, Body: x.Body, Err: err}
	}
	x.Err, x.Total = err, time.Since(began)
	x.FirstByte = p.firstByte()
	if conn := p.conn(); conn != nil {
		conn.mu.Lock()
		x.Sent = p.seen.sent
		if p.seen.got.Nth == x.Nth {
			x.Got, x.Reuse = p.seen.got, p.seen.verdict
		}
		conn.mu.Unlock()
	}
	return x
}

// read reads a body, or only its beginning.
func (c *Client) read(resp *http.Response, conn *clientConn, limit int64) (int64, error) {
	if limit <= 0 {
		n, err := io.Copy(io.Discard, resp.Body)
		return n, errors.Join(err, resp.Body.Close())
	}
	n, err := io.CopyN(io.Discard, resp.Body, limit)
	if errors.Is(err, io.EOF) {
		return n, resp.Body.Close()
	}
	if err == nil && resp.ContentLength != n && conn != nil {
		// Before Close, which gives the connection up.
		conn.unread()
	}
	return n, errors.Join(err, resp.Body.Close())
}

// unread says that a body was left unread. What the messages say counts before.
func (c *clientConn) unread() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.verdict.May == ReuseNo {
		c.conclude(c.because(c.verdict))
		return
	}
	c.conclude(NotReused{Reason: BodyUnread})
}

// tooLong ends an exchange whose time is over.
type tooLong struct{ after time.Duration }

func (e *tooLong) Error() string { return fmt.Sprintf("no answer within %v", e.after) }

func (*tooLong) Unwrap() error { return context.DeadlineExceeded }

// A WaitError says what an exchange waited for when its time was over.
type WaitError struct {
	For   string
	After time.Duration
	Body  int64 // bytes of the body that had come
	Err   error
}

func (e *WaitError) Error() string {
	text := fmt.Sprintf("no %s within %v", e.For, e.After)
	if e.For == waits[waitingForBody] {
		text += fmt.Sprintf(": %d bytes of it came", e.Body)
	}
	return text
}

func (e *WaitError) Unwrap() error { return e.Err }

// wait is a part of an exchange.
type wait uint8

const (
	waitingForConn wait = iota
	waitingForName
	waitingForTCP
	waitingForTLS
	waitingForResponse
	waitingForBody
)

var waits = [...]string{
	waitingForConn: "connection", waitingForName: "answer for the server's name", waitingForTCP: "TCP connection",
	waitingForTLS: "end of the TLS handshake", waitingForResponse: "response", waitingForBody: "end of the body",
}

// progress is how far an exchange has come.
type progress struct {
	mu    sync.Mutex
	now   wait
	on    *clientConn // the last that carried it
	seen  *seen       // there
	had   time.Time   // when it got that
	first time.Duration
}

func (p *progress) at(w wait) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = w
}

func (p *progress) what() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return waits[p.now]
}

func (p *progress) conn() *clientConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.on
}

func (p *progress) firstByte() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.first
}

// gets notes the connection that is to carry the request, and reports whether
// another was before it.
func (p *progress) gets(c *clientConn) (again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	again = p.on != nil
	p.now, p.on, p.had, p.first = waitingForResponse, c, time.Now(), 0
	return again
}

func (p *progress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { p.dialing(waitingForName) },
		DNSDone:           func(httptrace.DNSDoneInfo) { p.dialing(waitingForTCP) },
		ConnectStart:      func(string, string) { p.dialing(waitingForTCP) },
		TLSHandshakeStart: func() { p.dialing(waitingForTLS) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) {},
		GotFirstResponseByte: func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.first = time.Since(p.had)
		},
	}
}

// dialing is at, unless there is a connection by now: the one that is dialed
// may be late.
func (p *progress) dialing(w wait) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now < waitingForResponse {
		p.now = w
	}
}
