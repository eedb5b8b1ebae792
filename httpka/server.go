package httpka

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// CloseWith is how a server says goodbye where it closes after a response.
type CloseWith string

// The goodbyes: an orderly one, and a reset (SO_LINGER 0), which also throws
// away what is still to be sent.
const (
	FIN CloseWith = "fin"
	RST CloseWith = "rst"
)

// ServerConfig says how a [Server] treats its connections.
type ServerConfig struct {
	// IdleTimeout closes a connection this long after its last response; 0 is
	// never. It also bounds the wait for a first request, and for a request's
	// head to become complete.
	IdleTimeout time.Duration
	MaxRequests int       // the last response that a connection carries, which says so; 0 is without end
	CloseWith   CloseWith // how /close and /half end their connection; empty is FIN

	// Announce sends "Keep-Alive: timeout=, max=" with each response after
	// which the connection stays open: whole seconds of IdleTimeout, and how
	// many more requests MaxRequests allows. What has no limit is left out.
	Announce bool

	// HTTP10 makes it a server of HTTP/1.0: it closes after each response,
	// unless the client asked to keep the connection, sends nothing chunked
	// and no 1xx.
	HTTP10 bool

	TLS      *tls.Config          // serves over TLS, HTTP/1.1 only; nil is without
	Handler  http.Handler         // what is served; nil is [Handler] with CloseWith
	Socket   func(c net.Conn) any // what /status shows of an open connection's socket, as JSON; may be nil
	OnEvent  func(Event)          // called before the thing happens; may be nil, must not block
	ErrorLog *log.Logger          // nil is the log package's
}

// A Server serves paths that keep or close their connection: see [Handler].
// Its methods may be called from any goroutine.
type Server struct {
	cfg   ServerConfig
	http  http.Server
	conns gauge

	mu     sync.Mutex
	number int // of the last connection
	open   map[*serverConn]struct{}
	closed []status // the last ones, oldest first
}

// NewServer returns a server that is ready to [Server.Serve].
func NewServer(cfg ServerConfig) *Server {
	if cfg.OnEvent == nil {
		cfg.OnEvent = func(Event) {}
	}
	if cfg.Handler == nil {
		cfg.Handler = Handler(cfg.CloseWith)
	}
	if cfg.TLS != nil {
		cfg.TLS = cfg.TLS.Clone()
		// HTTP/2 would put every request on one connection, by other rules.
		cfg.TLS.NextProtos = []string{"http/1.1"}
	}
	s := &Server{cfg: cfg, open: map[*serverConn]struct{}{}}
	// Without an idle timeout net/http falls back to ReadTimeout, which is
	// not set: never.
	s.http = http.Server{
		Handler:           s.observe(cfg.Handler),
		IdleTimeout:       cfg.IdleTimeout,
		ReadHeaderTimeout: cfg.IdleTimeout,
		ConnState:         s.connState,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
		ErrorLog: cfg.ErrorLog,
		// It would answer past the handler, and so past the count.
		DisableGeneralOptionsHandler: true,
	}
	return s
}

// Serve accepts connections from l until [Server.Close] or [Server.Shutdown],
// and then returns nil.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(listener{l, s})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Wait returns when no accepted connection is open any more, or ctx ends.
func (s *Server) Wait(ctx context.Context) error { return s.conns.wait(ctx) }

// Shutdown stops accepting, closes idle connections and waits for the others
// until ctx ends, then closes those too.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

// Close stops accepting and closes all connections.
func (s *Server) Close() error { return s.http.Close() }

type connKey struct{}

// connOf is the connection of a request to a [Server]; nil elsewhere.
func connOf(r *http.Request) *serverConn {
	c, _ := r.Context().Value(connKey{}).(*serverConn)
	return c
}

// observe tells a connection which request its next response answers, and the
// response whether it is the connection's last.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last := false
		if c := connOf(r); c != nil {
			last = c.received(r)
		}
		h := w.Header()
		if s.cfg.HTTP10 && r.ProtoAtLeast(1, 1) {
			// What net/http does for a client of HTTP/1.0, where the version
			// is the server's: a length, or the end of the connection.
			h.Set("Transfer-Encoding", "identity")
			if readOptions([]byte(strings.Join(r.Header["Connection"], ","))).keepAlive {
				h.Set("Connection", "keep-alive")
			} else {
				last = true
			}
		}
		if last {
			h.Set("Connection", "close")
		}
		if r.Method == http.MethodOptions && r.RequestURI == "*" {
			h.Set("Content-Length", "0")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) connState(c net.Conn, state http.ConnState) {
	if c, ok := c.(*serverConn); ok {
		c.enter(state)
	}
}

// listener hands out connections that report to a server.
type listener struct {
	net.Listener
	s *Server
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	sc := &serverConn{Conn: c, socket: c, server: l.s, opened: time.Now()}
	if l.s.cfg.TLS != nil {
		sc.Conn = tls.Server(c, l.s.cfg.TLS)
	}
	l.s.add(sc)
	sc.event(Event{Kind: Opened})
	return sc, nil
}

func (s *Server) add(c *serverConn) {
	s.conns.opened()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	c.number = s.number
	s.open[c] = struct{}{}
}

// forget keeps of a connection what /status?closed=1 shows.
func (s *Server) forget(c *serverConn, last status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	if len(s.closed) == maxClosed {
		s.closed = s.closed[1:] // append moves it, now and then
	}
	s.closed = append(s.closed, last)
}
