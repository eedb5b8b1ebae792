package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"time"

	"kax/httpka"
	"kax/internal/timeline"
	"kax/internal/times"
	"kax/tcpka"
)

// Demo tells the whole story: a connection for each request, a connection for
// many, and one that is alive and closed all the same.
type Demo struct {
	Network     string         // tcp, tcp4 or tcp6
	Listen      string         // the HTTP server's address
	Client      tcpka.Settings // TCP keepalive of the client's sockets
	Server      tcpka.Settings // and of the server's
	IdleTimeout time.Duration  // the HTTP server's
	CloseWith   httpka.CloseWith
	Pauses      []time.Duration // before the second request for /keep, the third, and over again
	NoReuse     bool
}

// How many requests each act sends.
const (
	closeRequests = 2
	keepRequests  = 3
)

// Bounds of what takes a moment between a client and a server of one process.
const (
	requestTimeout = 10 * time.Second
	closeTimeout   = 5 * time.Second
)

// Run plays the acts. It returns nil when they are over, or when the deadline
// of ctx is; another end of ctx is an error. The timeline is complete in
// either case.
func (d Demo) Run(ctx context.Context, env Env) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := env.await(ctx); err != nil {
		return err
	}
	listener, err := d.Server.ListenConfig().Listen(ctx, d.Network, d.Listen)
	if err != nil {
		return err // names the address
	}
	defer listener.Close() // the server's, once that serves
	addr := target(listener.Addr())
	settings, err := d.settings(ctx, listener, addr)
	if err != nil {
		return err
	}
	settings.Private = env.Private
	env.On = loopback
	s, err := openStage(env, addr.Port())
	if err != nil {
		return err
	}
	s.begin(time.Now(), settings, nil, cancel)

	srv := httpka.NewServer(httpka.ServerConfig{
		IdleTimeout: d.IdleTimeout,
		CloseWith:   d.CloseWith,
		ErrorLog:    log.New(io.Discard, "", 0), // what fails shows on the timeline
		OnEvent:     s.served,
	})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(watchedListener{listener, s}) }()
	client := httpka.NewClient(httpka.ClientConfig{
		NoReuse: d.NoReuse,
		OnEvent: s.http,
		Dial:    d.dialer(s, settings.ClientTCP.Effective),
	})

	err = d.acts(ctx, s, client, "http://"+addr.String())

	if ctx.Err() != nil {
		s.step("stop", "the run ends here, and kax closes what is open")
	}
	// Connections first: an open one may still probe.
	client.Close()
	closeCtx, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer stop()
	if waitErr := client.Wait(closeCtx); waitErr != nil {
		err = errors.Join(err, fmt.Errorf("wait for the client's connections to close: %w", waitErr))
	}
	err = errors.Join(err, srv.Shutdown(closeCtx), <-served)
	if err = errors.Join(err, s.close()); err != nil {
		return err
	}
	return done(ctx)
}

// acts returns nil where ctx ends them.
func (d Demo) acts(ctx context.Context, s *stage, client *httpka.Client, base string) error {
	// Requests go on when ctx ends: a cut one would look like a failure.
	get := func(path string) error {
		reqCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
		defer cancel()
		if status, err := client.Get(reqCtx, base+path); err != nil {
			return err
		} else if status != 200 {
			return fmt.Errorf("GET %s: unexpected status %d", path, status)
		}
		return nil
	}

	s.step("close", "%d requests, each answered with Connection: close", closeRequests)
	for range closeRequests {
		if ctx.Err() != nil {
			return nil
		}
		if err := get("/close"); err != nil {
			return err
		}
		if client.Wait(ctx) != nil {
			return nil
		}
	}

	terms := fmt.Sprintf("the server's idle timeout is %s", times.Clock(d.IdleTimeout))
	if d.NoReuse {
		terms = "the client asks to close after each"
	}
	s.step("keep", "%d requests with pauses of %s; %s", keepRequests, list(d.Pauses), terms)
	for i := range keepRequests {
		if i > 0 && !pause(ctx, d.Pauses, i-1) {
			return nil
		}
		if err := get("/keep"); err != nil {
			return err
		}
	}

	if d.NoReuse {
		if client.Wait(ctx) != nil {
			return nil
		}
		s.step("idle", "nothing to wait for: without reuse no connection is left open")
		return nil
	}
	s.step("idle", "nobody asks any more, and the server waits for its idle timeout, %s", times.Clock(d.IdleTimeout))
	_ = client.Wait(ctx) // ends with ctx, if not with the connection
	return nil
}

// pause waits for the i-th pause, and reports false when ctx ends first.
func pause(ctx context.Context, pauses []time.Duration, i int) bool {
	if len(pauses) == 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(pauses[i%len(pauses)])
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func list(pauses []time.Duration) string {
	if len(pauses) == 0 {
		return "0s"
	}
	text := ""
	for i, p := range pauses {
		if i > 0 {
			text += ", "
		}
		text += times.Clock(p)
	}
	return text
}

// settings reads back what the kernel makes of the settings, from the listener
// and from a socket like the client's.
func (d Demo) settings(ctx context.Context, listener net.Listener, addr netip.AddrPort) (timeline.Settings, error) {
	server, err := tcpka.Get(listener.(*net.TCPListener))
	if err != nil {
		return timeline.Settings{}, err
	}
	trial, err := d.Client.ListenConfig().Listen(ctx, "tcp", netip.AddrPortFrom(addr.Addr(), 0).String())
	if err != nil {
		return timeline.Settings{}, err
	}
	defer trial.Close()
	client, err := tcpka.Get(trial.(*net.TCPListener))
	if err != nil {
		return timeline.Settings{}, err
	}
	out := timeline.Settings{
		Server:    addr.String(),
		ClientTCP: timeline.Keepalive{Asked: timeline.Options(d.Client), Effective: timeline.Options(client)},
		ServerTCP: timeline.Keepalive{Asked: timeline.Options(d.Server), Effective: timeline.Options(server)},
		HTTPSettings: &timeline.HTTPSettings{
			IdleTimeout: timeline.Seconds(d.IdleTimeout),
			Reuse:       !d.NoReuse,
			CloseWith:   string(d.CloseWith),
		},
	}
	for _, p := range d.Pauses {
		out.Pauses = append(out.Pauses, timeline.Seconds(p))
	}
	return out, nil
}

// dialer connects with the client's settings, and makes sure that they hold on
// the socket that is used.
func (d Demo) dialer(s *stage, want timeline.KeepaliveOptions) func(context.Context, string, string) (net.Conn, error) {
	dialer := d.Client.Dialer()
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		got, err := tcpka.Get(conn.(*net.TCPConn))
		if err == nil && timeline.Options(got) != want {
			err = fmt.Errorf("the client's socket has keepalive %v", got)
		}
		if err != nil {
			conn.Close()
			return nil, err
		}
		s.own(addrPort(conn.LocalAddr()), addrPort(conn.RemoteAddr()))
		return s.watch(conn, true)
	}
}

// watchedListener gives what it accepts to the stage.
type watchedListener struct {
	net.Listener
	s *stage
}

func (l watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.s.watch(c, false)
}

func addrPort(a net.Addr) netip.AddrPort {
	ap := a.(*net.TCPAddr).AddrPort() // of a TCP socket
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// target is where a client reaches a listener: one that listens everywhere is
// reached over loopback.
func target(a net.Addr) netip.AddrPort {
	ap := addrPort(a)
	ip := ap.Addr()
	if ip.IsUnspecified() {
		ip = netip.MustParseAddr("127.0.0.1")
		if a.(*net.TCPAddr).IP.To4() == nil {
			ip = netip.IPv6Loopback()
		}
	}
	return netip.AddrPortFrom(ip, ap.Port())
}
