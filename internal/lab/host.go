package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"kax/httpka"
	"kax/internal/capture"
	"kax/internal/hosts"
	"kax/internal/timeline"
	"kax/tcpka"
)

// A Host is a machine of a run.
type Host struct {
	*hosts.Host
	Addr  netip.Addr // at its last link: where the others reach it
	all   []netip.Addr
	run   *Run
	label string // its name, and its run's where there are several
	nat   bool   // its servers know it by another address

	mu   sync.Mutex
	from []*net.TCPConn // what its listeners have accepted
}

// Do calls f where the host is: this process is where it is, if it is none of
// the lab's.
func (h *Host) Do(f func() error) error {
	if h.Host == nil {
		return f()
	}
	return h.Host.Do(f)
}

// fails says on which of the lab's hosts something failed.
func (h *Host) fails(err error) error {
	if h.Host == nil {
		return err
	}
	return fmt.Errorf("%s: %w", h.label, err)
}

// accepted are the connections that the host's listeners have accepted.
func (h *Host) accepted() []*net.TCPConn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.from)
}

// Host makes a machine without links.
func (r *Run) Host(name string) (*Host, error) {
	h, err := hosts.New(name)
	if err != nil {
		return nil, err
	}
	return r.adopt(h), nil
}

// adopt makes a machine one of the run's, which lets go of it in the end.
func (r *Run) adopt(h *hosts.Host, addrs ...netip.Addr) *Host {
	out := &Host{Host: h, run: r, label: h.Name, all: addrs}
	if len(addrs) > 0 {
		out.Addr = addrs[0]
	}
	if len(r.Runs) > 1 {
		out.label = r.Name + " " + h.Name
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hosts = append(r.hosts, out)
	return out
}

// subnet is one that the lab has not used yet.
func (r *Run) subnet() netip.Prefix {
	r.links++
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(r.index), byte(r.links), 0}), 24)
}

// Link connects two machines by a subnet of their own, after which they must be
// given to [Run.Capture]. The second can be reached there.
func (r *Run) Link(a, b *Host) (err error) {
	a.Addr, b.Addr, err = hosts.Link(a.Host, b.Host, r.subnet())
	a.all, b.all = append(a.all, a.Addr), append(b.all, b.Addr)
	return err
}

// Capture begins to capture on machines that have their links.
func (r *Run) Capture(all ...*Host) error {
	f := capture.Filter{Sparse: true}
	if e := r.stage.env; e.Write == "" && !e.Frames {
		f.Snap = capture.SnapHeads
	}
	for _, h := range all {
		if err := h.Do(func() error { return r.group.Add(h.label, f) }); err != nil {
			return err
		}
	}
	return nil
}

// Pair is a client and a server with a link between them.
func (r *Run) Pair() (client, server *Host, err error) {
	if client, err = r.Host("client"); err != nil {
		return nil, nil, err
	}
	if server, err = r.Host("server"); err != nil {
		return nil, nil, err
	}
	if err := r.Link(client, server); err != nil {
		return nil, nil, err
	}
	return client, server, r.Capture(client, server)
}

// Routed is a client and a server, and between them a router that translates the
// client's address and forgets idle connections.
func (r *Run) Routed(nat hosts.NAT) (client, router, server *Host, err error) {
	n, err := hosts.NewRouted(nat, r.subnet(), r.subnet())
	if err != nil {
		return nil, nil, nil, err
	}
	client, router, server = r.adopt(n.Client, n.ClientAddr), r.adopt(n.Router), r.adopt(n.Server, n.ServerAddr)
	client.nat = true
	return client, router, server, r.Capture(client, router, server)
}

// httpPort is where servers listen: nobody else is in their namespaces.
const httpPort = 80

// At is the host's HTTP server.
func (h *Host) At() netip.AddrPort { return netip.AddrPortFrom(h.Addr, httpPort) }

// URL is a path of the host's HTTP server.
func (h *Host) URL(path string) string { return "http://" + h.Addr.String() + path }

// Listen listens on the HTTP port with some TCP keepalive.
func (h *Host) Listen(s tcpka.Settings) (*Listener, error) {
	var l net.Listener
	err := h.Do(func() (err error) {
		l, err = s.ListenConfig().Listen(h.run.ctx, "tcp4", h.At().String())
		return err
	})
	if err != nil {
		return nil, h.fails(err)
	}
	out := &Listener{l.(*net.TCPListener), h}
	h.run.keep(out)
	return out, nil
}

// A Listener is a host's. What it accepts is closed when the lab is over.
type Listener struct {
	*net.TCPListener
	host *Host
}

// Accept is for HTTP servers.
func (l *Listener) Accept() (net.Conn, error) { return l.AcceptTCP() }

// AcceptTCP waits for a connection.
func (l *Listener) AcceptTCP() (*net.TCPConn, error) {
	c, err := l.TCPListener.AcceptTCP()
	if err == nil {
		l.host.run.keep(c)
		l.host.mu.Lock()
		defer l.host.mu.Unlock()
		l.host.from = append(l.host.from, c)
	}
	return c, err
}

// Dial opens a connection from the host with some TCP keepalive. It is on the
// timeline.
func (h *Host) Dial(ctx context.Context, s tcpka.Settings, to netip.AddrPort) (c *net.TCPConn, err error) {
	err = h.Do(func() error {
		conn, err := h.run.stage.dial(func() (net.Conn, error) { return s.Dialer().DialContext(ctx, "tcp", to.String()) })
		if err == nil {
			c = conn.(*net.TCPConn)
		}
		return err
	})
	if err == nil {
		err = holds(c, s)
	}
	if err != nil {
		return nil, h.fails(err)
	}
	h.run.keep(c)
	return c, nil
}

// holds makes sure that settings are in force on the socket that is used.
func holds(c *net.TCPConn, s tcpka.Settings) error {
	got, err := tcpka.Get(c)
	want, err2 := effective(s)
	if err = errors.Join(err, err2); err == nil && got != want {
		err = fmt.Errorf("the client's socket has keepalive %v", got)
	}
	if err != nil {
		_ = c.Close()
	}
	return err
}

// keep remembers a socket until the lab is over.
func (b *Bench) keep(c io.Closer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[c] = struct{}{}
}

// Named names a connection by its client's socket.
func Named(c net.Conn) Conn { return Conn{addrPort(c.LocalAddr()), addrPort(c.RemoteAddr())} }

// Serve runs an HTTP server on the host until the lab is over.
func (h *Host) Serve(s tcpka.Settings, cfg httpka.ServerConfig) (*httpka.Server, error) {
	l, err := h.Listen(s)
	if err != nil {
		return nil, err
	}
	srv, served := h.serve(l, cfg)
	h.run.atEnd(func() {
		_ = srv.Close()
		_ = served() // that its listener was closed, at most
	})
	return srv, nil
}

// serve runs an HTTP server that tells the timeline what it does. served waits
// for its end.
func (h *Host) serve(l net.Listener, cfg httpka.ServerConfig) (srv *httpka.Server, served func() error) {
	cfg.OnEvent, cfg.ErrorLog = h.run.stage.served, log.New(io.Discard, "", 0) // what fails shows on the timeline
	srv = httpka.NewServer(cfg)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(watchedListener{l, h.run.stage}) }()
	return srv, func() error { return <-done }
}

// A Client is an HTTP client on a host.
type Client struct {
	*httpka.Client
	run *Run

	mu      sync.Mutex
	sockets []*Socket
}

// A Socket is that of a client's connection, which notes how reading ends.
type Socket struct {
	net.Conn // the counters', where these are all there is
	TCPConn  *net.TCPConn

	mu  sync.Mutex
	err error
}

func (s *Socket) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err == nil {
			s.err = err
		}
	}
	return n, err
}

// Err is the error that has ended reading, nil as long as none has.
func (s *Socket) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Client makes an HTTP client of the host whose connections have some TCP
// keepalive.
func (h *Host) Client(s tcpka.Settings, cfg httpka.ClientConfig) *Client {
	c := &Client{run: h.run}
	cfg.OnEvent = h.run.stage.http
	if h.nat {
		told := &lastSent{s: h.run.stage}
		cfg.Responses, cfg.OnEvent = true, told.event
	}
	cfg.Dial = func(ctx context.Context, _, address string) (net.Conn, error) {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil, err
		}
		conn, err := h.Dial(ctx, s, to)
		if err != nil {
			return nil, err
		}
		watched, err := h.run.stage.watch(conn, true)
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		socket := &Socket{TCPConn: conn, Conn: watched}
		c.sockets = append(c.sockets, socket)
		return socket, nil
	}
	c.Client = httpka.NewClient(cfg)
	h.run.atEnd(c.Close)
	return c
}

// Sockets are those of the connections that the client has opened so far.
func (c *Client) Sockets() []*Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sockets)
}

// Socket is the last of them.
func (c *Client) Socket() *Socket {
	all := c.Sockets()
	return all[len(all)-1]
}

// Asked is a pair whose server has answered the first request of the asker, an HTTP
// client on the client.
func (r *Run) Asked(cfg httpka.ServerConfig) (client, server *Host, asker *Client, err error) {
	if client, server, err = r.Pair(); err != nil {
		return nil, nil, nil, err
	}
	if _, err = server.Serve(r.Server, cfg); err != nil {
		return nil, nil, nil, err
	}
	asker = client.Client(r.Client, httpka.ClientConfig{})
	_, err = asker.Ask(server.URL("/keep"), requestTimeout)
	return client, server, asker, err
}

// Connected is a pair with a connection between them that its program has not
// accepted yet.
func (r *Run) Connected() (client, server *Host, c *net.TCPConn, l *Listener, err error) {
	if client, server, err = r.Pair(); err != nil {
		return nil, nil, nil, nil, err
	}
	if l, err = server.Listen(r.Server); err != nil {
		return nil, nil, nil, nil, err
	}
	c, err = client.Dial(r.ctx, r.Client, server.At())
	return client, server, c, l, err
}

// Ask sends a GET, and returns how long its answer took.
func (c *Client) Ask(url string, within time.Duration) (time.Duration, error) {
	req, err := http.NewRequestWithContext(c.run.ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	x := c.Exchange(req, httpka.Bounds{Timeout: within})
	return x.Total, x.Err
}

// Hold waits until a connection has ended, and tells what its program gets to see
// of that. It returns what the timeline has of it, of which At is the moment.
func (b *Bench) Hold(c *net.TCPConn) timeline.Death {
	d := awaitEnd(syscall.Conn(c))
	name := Named(c)
	b.stage.merge.Now(func(at time.Time) { b.stage.tracker.Dead(at, name.a, name.b, false, d) })
	b.settled()
	b.mu.Lock()
	defer b.mu.Unlock()
	n, known := b.numbers[name]
	for _, told := range b.deaths {
		if known && told.Conn == n {
			return told
		}
	}
	return d
}
