package lab

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"kax/internal/counters"
	"kax/internal/timeline"
	"kax/tcpka"
)

// Hold keeps idle connections open, sends nothing, and watches what the kernel
// does with them.
type Hold struct {
	Settings    tcpka.Settings
	HZ          int
	Connections int // that Dial opens
}

// Dial opens the connections and holds them until they are dead or ctx ends,
// which is no error. The network and address are as for [net.Dial].
func (h Hold) Dial(ctx context.Context, env Env, network, address string) error {
	_, service, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, network, service)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := env.await(ctx); err != nil {
		return err
	}
	s, err := openStage(env, uint16(port))
	if err != nil {
		return err
	}
	started := time.Now()
	conns, settings, err := h.dial(ctx, s, network, address)
	if err != nil {
		return errors.Join(err, s.closeWriter())
	}
	plan, err := h.plan(settings)
	if err != nil {
		closeAll(conns)
		return errors.Join(err, s.closeWriter())
	}
	s.begin(started, timeline.Settings{
		Private: env.Private, Server: address, ClientTCP: settings, HZ: h.HZ,
	}, plan, cancel)
	var held sync.WaitGroup
	for _, c := range conns {
		held.Go(func() { s.hold(ctx, c, false) })
	}
	all := make(chan struct{})
	go func() {
		held.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-ctx.Done():
		s.step("stop", "the run ends here, and kax closes what is open")
	}
	closeAll(conns) // ends their holds
	<-all
	return errors.Join(s.close(), done(ctx))
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		c.Close()
	}
}

// dial opens the connections, and reads the settings back from the first.
func (h Hold) dial(ctx context.Context, s *stage, network, address string) (conns []net.Conn, k timeline.Keepalive, err error) {
	defer s.env.slow("connecting to " + address)()
	defer func() {
		if err != nil {
			closeAll(conns)
		}
	}()
	for range h.Connections {
		c, err := s.dial(func() (net.Conn, error) { return h.Settings.Dialer().DialContext(ctx, network, address) })
		if err != nil && errors.Is(ctx.Err(), context.Canceled) {
			return conns, k, context.Cause(ctx) // net says only that it was canceled
		}
		if err != nil {
			return conns, k, err // names the address
		}
		tcp := c.(*net.TCPConn)
		if c, err = s.watch(c, true); err != nil {
			return conns, k, err
		}
		conns = append(conns, c)
		if len(conns) > 1 {
			continue
		}
		got, err := tcpka.Get(tcp)
		if err != nil {
			return conns, k, err
		}
		k = timeline.Keepalive{Asked: timeline.Options(h.Settings), Effective: timeline.Options(got)}
	}
	return conns, k, nil
}

// Listen accepts connections and holds them until ctx ends, which is no error.
func (h Hold) Listen(ctx context.Context, env Env, network, address string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := env.await(ctx); err != nil {
		return err
	}
	l, err := h.Settings.ListenConfig().Listen(ctx, network, address)
	if err != nil {
		return err // names the address
	}
	defer l.Close()
	got, err := tcpka.Get(l.(*net.TCPListener))
	if err != nil {
		return err
	}
	settings := timeline.Keepalive{Asked: timeline.Options(h.Settings), Effective: timeline.Options(got)}
	plan, err := h.plan(settings)
	if err != nil {
		return err
	}
	s, err := openStage(env, addrPort(l.Addr()).Port())
	if err != nil {
		return err
	}
	s.begin(time.Now(), timeline.Settings{
		Private: env.Private, Server: l.Addr().String(), ServerTCP: settings, HZ: h.HZ,
	}, plan, cancel)
	s.step("listen", "on %s, with these settings on the listener", l.Addr())
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var held sync.WaitGroup
	for {
		c, err := l.Accept()
		if err != nil {
			cancel(err) // unless ctx has ended, and so closed the listener
			break
		}
		held.Go(func() { s.accepted(ctx, c) })
	}
	s.step("stop", "the run ends here, and kax closes what is open")
	held.Wait()
	return errors.Join(s.close(), done(ctx))
}

// accepted shows what a connection has inherited, and holds it.
func (s *stage) accepted(ctx context.Context, c net.Conn) {
	s.own(addrPort(c.RemoteAddr()), addrPort(c.LocalAddr()))
	got, err := tcpka.Get(c.(*net.TCPConn))
	inherited := got.String()
	if err != nil {
		inherited = err.Error()
	}
	c, err = s.watch(c, false)
	if err != nil {
		return // reset meanwhile, and closed
	}
	if s.env.Packets == nil { // the counters see no handshake
		s.merge.Now(func(at time.Time) {
			s.tracker.Infer(at, timeline.Inferred{
				Client: addrPort(c.RemoteAddr()), Server: addrPort(c.LocalAddr()), Kind: tcpka.Established,
			})
		})
	}
	s.step("accepted", "%s; inherited: %s", c.RemoteAddr(), inherited)
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	defer c.Close()
	s.hold(ctx, c, true)
}

// hold waits for a connection's end and tells of it, unless the run ends first.
func (s *stage) hold(ctx context.Context, c net.Conn, ofServer bool) {
	client, server := addrPort(c.LocalAddr()), addrPort(c.RemoteAddr())
	if ofServer {
		client, server = server, client
	}
	d := awaitEnd(c.(syscall.Conn)) // of a TCP socket
	if ctx.Err() != nil {
		return // kax has closed it
	}
	if wc, ok := c.(*counters.Conn); ok {
		wc.Observe() // a probe that brought the end comes before it
	}
	s.merge.Now(func(at time.Time) { s.tracker.Dead(at, client, server, ofServer, d) })
}

// plan is what to expect of a connection with these settings.
func (h Hold) plan(k timeline.Keepalive) (*timeline.Plan, error) {
	return timeline.NewPlan(h.Settings, k.Effective.Settings(), h.HZ)
}
