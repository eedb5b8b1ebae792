package httpka

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
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
	CloseWith   CloseWith   // how /close ends its connection; empty is FIN
	OnEvent     func(Event) // called before the thing happens; may be nil, must not block
	ErrorLog    *log.Logger // nil is the log package's
}

// A Server serves paths that keep or close their connection: see [Handler].
// Its methods may be called from any goroutine.
type Server struct {
	cfg  ServerConfig
	http http.Server
}

// NewServer returns a server that is ready to [Server.Serve].
func NewServer(cfg ServerConfig) *Server {
	if cfg.OnEvent == nil {
		cfg.OnEvent = func(Event) {}
	}
	s := &Server{cfg: cfg}
	// Without an idle timeout net/http falls back to ReadTimeout, which is
	// not set: never.
	s.http = http.Server{
		Handler:           s.observe(Handler(cfg.CloseWith)),
		IdleTimeout:       cfg.IdleTimeout,
		ReadHeaderTimeout: cfg.IdleTimeout,
		ConnState:         s.connState,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
		ErrorLog: cfg.ErrorLog,
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

// observe tells a connection which request its next response answers.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*serverConn); ok {
			c.received(r)
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
	sc := &serverConn{Conn: c, emit: l.s.cfg.OnEvent}
	sc.event(Event{Kind: Opened})
	return sc, nil
}
