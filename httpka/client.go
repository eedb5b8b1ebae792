package httpka

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"
)

// ClientConfig says how a [Client] treats its connections.
type ClientConfig struct {
	// Dial opens a connection; nil is a plain net.Dialer's, with package
	// net's own TCP keepalive.
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	TLS     *tls.Config // for https; nil is Go's defaults. Only HTTP/1.1 is offered
	NoReuse bool        // sends "Connection: close" with every request

	// HTTP10 sends HTTP/1.0, whose connections persist only where the request
	// has "Connection: keep-alive" (RFC 9112 section 9.3): it is not added.
	HTTP10 bool

	// What the pool keeps: the client's own limits. They are net/http's
	// IdleConnTimeout, where 0 is never, and MaxIdleConnsPerHost, where 0 is 2.
	PoolIdle time.Duration
	PoolSize int

	OnEvent func(Event) // called before the thing happens; may be nil, must not block

	// Responses has the server's messages told too, by when their heads have
	// come: for a server that tells nothing itself.
	Responses bool

	// OnHead gets each head as it is on the wire, without TLS; may be nil, must
	// not block or keep the bytes.
	OnHead func(conn int, fromServer bool, head []byte)
}

// A Client sends requests over connections that it watches. It follows no
// redirect and uses no proxy. Its methods may be called from any goroutine.
type Client struct {
	cfg       ClientConfig
	transport *http.Transport

	conns gauge

	mu      sync.Mutex
	hosts   map[string]*host
	number  int  // of the last connection
	closing bool // by Close
}

// NewClient returns a client without connections.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.OnEvent == nil {
		cfg.OnEvent = func(Event) {}
	}
	c := &Client{cfg: cfg, hosts: map[string]*host{}}
	c.transport = &http.Transport{
		DialContext:         c.dial,
		DialTLSContext:      c.dialTLS,
		DisableKeepAlives:   cfg.NoReuse,
		DisableCompression:  true,
		IdleConnTimeout:     cfg.PoolIdle,
		MaxIdleConnsPerHost: cfg.PoolSize,
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
	x := c.Exchange(req, Bounds{})
	return x.Status, x.Err
}

// Do sends req as net/http's client does, its silent retry included, and
// reports each sending.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	x := &Exchange{}
	return c.do(req, x, &progress{})
}

// do fills x as far as the head of the response.
func (c *Client) do(req *http.Request, x *Exchange, p *progress) (*http.Response, error) {
	x.Method, x.Target = method(req), req.URL.RequestURI()
	trace := p.trace()
	says := readOptions([]byte(strings.Join(req.Header["Connection"], ",")))
	var before asking
	asked := false
	trace.GetConn = func(hostPort string) {
		before, asked = c.asks(hostKey(req.URL.Scheme == "https", hostPort)), true
	}
	trace.GotConn = func(info httptrace.GotConnInfo) {
		conn, ok := info.Conn.(*clientConn)
		if !ok {
			return
		}
		// Not info's word for it: to net/http a connection that was opened and
		// not needed is a used one.
		c.assigned(conn, before, x)
		asked = false
		if x.Retried = p.gets(conn); x.Retried {
			conn.event(Event{Kind: Retry, Method: x.Method, Target: x.Target})
		}
		p.seen = conn.expect(Event{
			Kind: Request, Method: x.Method, Target: x.Target,
			Reused: x.Reused, Idle: x.Idle,
		}, c.cfg.NoReuse || says.close)
	}
	trace.PutIdleConn = func(err error) {
		if conn := p.conn(); conn != nil {
			conn.back(err)
		}
	}
	if c.cfg.HTTP10 && !says.keepAlive {
		req = req.Clone(req.Context())
		req.Close = true // net/http's word for it; its header is taken out again
	}
	resp, err := c.transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		if asked {
			c.asksNoMore(before)
		}
		if last := p.conn(); last != nil && !asked {
			err = last.fails(err)
			last.failed(x, err)
		}
	}
	return resp, err
}

// method says an empty method's meaning, as net/http takes it.
func method(req *http.Request) string { return cmp.Or(req.Method, http.MethodGet) }

// Wait returns when no connection is open any more, or ctx ends.
func (c *Client) Wait(ctx context.Context) error { return c.conns.wait(ctx) }

// Close closes all idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.transport.CloseIdleConnections()
	c.mu.Lock()
	c.closing = false
	c.mu.Unlock()
}
