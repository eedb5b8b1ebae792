package httpka

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// ClientConfig says how a [Client] treats its connections.
type ClientConfig struct {
	// Dial opens a connection; nil is a plain net.Dialer's, with package
	// net's own TCP keepalive.
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	NoReuse bool        // sends "Connection: close" with every request
	OnEvent func(Event) // called before the thing happens; may be nil, must not block
}

// A Client sends requests over connections that it watches. It follows no
// redirect and uses no proxy. Its methods may be called from any goroutine.
type Client struct {
	cfg       ClientConfig
	transport *http.Transport

	mu      sync.Mutex
	open    map[*clientConn]struct{}
	changed chan struct{} // closed, and made anew, when a connection closes
}

// NewClient returns a client without connections.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.OnEvent == nil {
		cfg.OnEvent = func(Event) {}
	}
	c := &Client{cfg: cfg, open: map[*clientConn]struct{}{}, changed: make(chan struct{})}
	c.transport = &http.Transport{
		DialContext:        c.dial,
		DisableKeepAlives:  cfg.NoReuse,
		DisableCompression: true,
	}
	return c
}

// Get asks for url and reads the whole response: a connection whose response
// was not read to its end is not reused. It returns the status code.
func (c *Client) Get(ctx context.Context, url string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, conn, err := c.do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if closeErr := resp.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil && conn != nil {
		conn.failed(req, err)
	}
	return resp.StatusCode, err
}

// Do sends req as net/http's client does, its silent retry included, and
// reports each sending.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	resp, _, err := c.do(req)
	return resp, err
}

// do also returns the connection that carried the request last, if any did.
func (c *Client) do(req *http.Request) (resp *http.Response, last *clientConn, err error) {
	tries := 0
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		conn := watched(info.Conn)
		if conn == nil {
			return
		}
		if last, tries = conn, tries+1; tries > 1 {
			conn.event(Event{Kind: Retry, Method: method(req), Target: req.URL.RequestURI()})
		}
		conn.expect(Event{
			Kind: Request, Method: method(req), Target: req.URL.RequestURI(),
			Reused: info.Reused, Idle: info.IdleTime,
		})
	}}
	resp, err = c.transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil && last != nil {
		last.failed(req, err)
	}
	return resp, last, err
}

// method says an empty method's meaning, as net/http takes it.
func method(req *http.Request) string { return cmp.Or(req.Method, http.MethodGet) }

// Wait returns when no connection is open any more, or ctx ends.
func (c *Client) Wait(ctx context.Context) error {
	for {
		c.mu.Lock()
		n, changed := len(c.open), c.changed
		c.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close closes all idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.cfg.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	cc := &clientConn{Conn: conn, client: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[cc] = struct{}{}
	return cc, nil
}

func (c *Client) forget(cc *clientConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.open[cc]; ok {
		delete(c.open, cc)
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// A clientConn reports the requests that a client puts on one connection.
type clientConn struct {
	net.Conn
	client *Client

	mu       sync.Mutex
	next     *Event // the request whose first bytes are still to be written
	requests int
}

// watched finds the client's own connection, under TLS too.
func watched(c net.Conn) *clientConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	cc, _ := c.(*clientConn)
	return cc
}

func (c *clientConn) event(e Event) {
	e.Time = time.Now()
	e.Client, e.Server = addrPort(c.LocalAddr()), addrPort(c.RemoteAddr())
	c.client.cfg.OnEvent(e)
}

func (c *clientConn) failed(req *http.Request, err error) {
	c.event(Event{Kind: Error, Method: method(req), Target: req.URL.RequestURI(), Err: err})
}

func (c *clientConn) expect(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = &e
}

func (c *clientConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	if e := c.next; e != nil {
		c.next = nil
		c.requests++
		e.Nth = c.requests
		readHead(b, e) // under TLS, or where the head is long, what is known still holds
		c.event(*e)
	}
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *clientConn) Close() error {
	err := c.Conn.Close()
	c.client.forget(c)
	return err
}
