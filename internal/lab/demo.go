package lab

import (
	"context"
	"errors"
	"fmt"
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

// DefaultDemo is the one that a first look shows.
func DefaultDemo() Demo {
	return Demo{
		Client:      tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 3},
		IdleTimeout: 4 * time.Second,
		CloseWith:   httpka.FIN,
		Pauses:      []time.Duration{2500 * time.Millisecond},
	}
}

// Run plays the acts where packets may be had. It returns nil when they are over,
// or when the deadline of ctx is; another end of ctx is an error. The timeline is
// complete in either case.
func (d Demo) Run(ctx context.Context, env Env) error {
	b, release := newBench(ctx, Lab{}, Settings{}, []Variant{{}})
	defer release()
	if err := env.await(b.ctx); err != nil {
		return err
	}
	listener, err := d.Server.ListenConfig().Listen(b.ctx, d.Network, d.Listen)
	if err != nil {
		return err // names the address
	}
	defer listener.Close() // the server's, once that serves
	addr := target(listener.Addr())
	settings, err := d.settings(b.ctx, listener, addr)
	if err != nil {
		return err
	}
	settings.Private = env.Private
	env.On = loopback
	if err := b.begin(env, addr.Port(), settings); err != nil {
		return err
	}
	here := &Host{run: b.Runs[0]}
	if err := errors.Join(d.play(here, listener, addr), b.stage.close()); err != nil {
		return err
	}
	return done(b.ctx)
}

// play plays the acts on a host, and ends what they leave.
func (d Demo) play(h *Host, l net.Listener, addr netip.AddrPort) error {
	srv, served := h.serve(l, httpka.ServerConfig{IdleTimeout: d.IdleTimeout, CloseWith: d.CloseWith})
	client := h.Client(d.Client, httpka.ClientConfig{NoReuse: d.NoReuse})
	ctx := h.run.ctx
	err := d.acts(ctx, h.run.Bench, client.Client, srv, "http://"+addr.String())
	if ctx.Err() != nil {
		h.run.sayStop()
	}
	// Connections first: an open one may still probe.
	client.Close()
	closeCtx, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer stop()
	if waitErr := client.Wait(closeCtx); waitErr != nil {
		err = errors.Join(err, fmt.Errorf("wait for the client's connections to close: %w", waitErr))
	}
	return errors.Join(err, srv.Shutdown(closeCtx), served())
}

// acts returns nil where ctx ends them.
func (d Demo) acts(ctx context.Context, b *Bench, client *httpka.Client, srv *httpka.Server, base string) error {
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

	b.Step("close", "%d requests, each answered with Connection: close", closeRequests)
	for range closeRequests {
		if ctx.Err() != nil {
			return nil
		}
		if err := get("/close"); err != nil {
			return err
		}
		if client.Wait(ctx) != nil || srv.Wait(ctx) != nil {
			return nil
		}
	}

	terms := fmt.Sprintf("the server's idle timeout is %s", times.Clock(d.IdleTimeout))
	if d.NoReuse {
		terms = "the client asks to close after each"
	}
	b.Step("keep", "%d requests with pauses of %s; %s", keepRequests, list(d.Pauses), terms)
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
		b.Step("idle", "nothing to wait for: without reuse no connection is left open")
		return nil
	}
	b.Step("idle", "nobody asks any more, and the server waits for its idle timeout, %s", times.Clock(d.IdleTimeout))
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
