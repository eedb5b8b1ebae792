package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"kax/internal/timeline"
	"kax/tcpka"
)

func inheritLab() Lab {
	return Lab{
		Name:     "inherit",
		Question: "whose settings does an accepted socket have?",
		Teaches: "The listener's, as they were when the handshake ended, and not when the program accepted: a connection that waited in the queue keeps the old ones. " +
			"Programs may put their own over them. Go does with every connection it accepts (15 s, 15 s, 9), unless ListenConfig.KeepAlive is negative.",
		World:    "Set keepalive on the listener before listen(2), or on each accepted socket; what is set on a listener in service misses whoever is queued.",
		Topology: "client ──── server, which probes",
		Settings: Settings{TCP: tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 3}},
		Refuses: func(s Settings) error {
			if later(s.TCP).Idle >= goDefaults().Idle {
				return fmt.Errorf("the idle time and a second more must be below package net's %v", goDefaults().Idle)
			}
			return nil
		},
		Runs: func(s Settings) []Variant {
			return []Variant{
				{Name: "queued", Text: "connects, then the listener's idle time is changed, then it is accepted", Server: s.TCP},
				{Name: "later", Text: "connects after that", Server: later(s.TCP)},
				{Name: "go", Text: "a listener with the same settings, and package net as it comes", Server: s.TCP},
			}
		},
		Run: inherit,
	}
}

// later are the settings that the listener is changed to.
func later(s tcpka.Settings) tcpka.Settings {
	s.Idle += time.Second
	return s
}

// goDefaults are what package net sets (net.TCPConn, KeepAliveConfig).
func goDefaults() tcpka.Settings {
	return tcpka.Settings{Enabled: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 9}
}

// goPort is where the listener of package net listens.
const goPort = httpPort + 1

func inherit(b *Bench) error {
	queued, late, plain := b.Runs[0], b.Runs[1], b.Runs[2]
	client, server, err := queued.Pair() // all three share it
	if err != nil {
		return err
	}
	l, err := server.Listen(b.TCP)
	if err != nil {
		return err
	}
	first, err := client.accept(l.TCPListener, server.At(), func() error {
		_, err := tcpka.Set(l.TCPListener, later(b.TCP))
		return err
	})
	if err != nil {
		return err
	}
	second, err := client.accept(l.TCPListener, server.At(), nil)
	if err != nil {
		return err
	}
	asItComes, err := server.listenAsGo(b.TCP)
	if err != nil {
		return err
	}
	third, err := client.accept(asItComes, netip.AddrPortFrom(server.Addr, goPort), nil)
	if err != nil {
		return err
	}

	until, err := b.Runs[0].plan(later(b.TCP))
	if err != nil {
		return err
	}
	b.Step("idle", "#%d queued, #%d later, #%d accepted by package net", b.Story(first.name).N, b.Story(second.name).N, b.Story(third.name).N)
	if err := b.Sleep(until.First().Latest + slack); err != nil {
		return err
	}
	want := 0
	for _, x := range []struct {
		*Run
		accepted
		want tcpka.Settings
	}{{queued, first, b.TCP}, {late, second, later(b.TCP)}, {plain, third, goDefaults()}} {
		got, err := tcpka.Get(x.conn)
		if err != nil {
			return err
		}
		s := b.Story(x.name)
		probes := s.Of("probe").By(timeline.Server)
		want += probes.Len()
		plan, err := x.plan(x.want)
		if err != nil {
			return err
		}
		after := between(s.Of("established").First(), probes.First())
		seen := "and no probe yet"
		if probes.Len() > 0 {
			seen = fmt.Sprintf("and its first probe came after %s", timeline.Brief(after))
		}
		due := plan.First().Latest <= until.First().Latest
		x.Check(same(got, x.want) && due == (probes.Len() > 0) && (!due || onTime(plan.First(), after)),
			"the accepted socket has keepalive %v, %s.", got, seen)
	}
	all, sent, err := server.Seen(Conn{}, "TcpExt", "TCPKeepAlive")
	if err != nil {
		return err
	}
	b.Check(sent == all.Of("probe").By(timeline.Server).Len() && sent >= want, "The server's kernel counts %s.", timeline.Count(sent, "probe"))
	return nil
}

// same compares what was asked for.
func same(got, want tcpka.Settings) bool {
	return got.Enabled == want.Enabled && got.Idle == want.Idle && got.Interval == want.Interval && got.Count == want.Count
}

// accepted is a server's end of a connection.
type accepted struct {
	conn *net.TCPConn
	name Conn
}

// accept dials a listener, does something before the connection is accepted, and
// accepts it.
func (h *Host) accept(l *net.TCPListener, at netip.AddrPort, before func() error) (a accepted, err error) {
	c, err := h.Dial(h.run.ctx, tcpka.Settings{}, at)
	if err != nil {
		return a, err
	}
	if before != nil {
		if err := before(); err != nil {
			return a, err
		}
	}
	if a.conn, err = l.AcceptTCP(); err != nil {
		return a, err
	}
	h.run.keep(a.conn)
	a.name = Named(c)
	return a, nil
}

// listenAsGo listens with settings on the listener, and leaves accepted
// connections to package net.
func (h *Host) listenAsGo(s tcpka.Settings) (*net.TCPListener, error) {
	cfg := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
		_, err := tcpka.SetRaw(rc, s)
		return err
	}}
	var l net.Listener
	err := h.Do(func() (err error) {
		l, err = cfg.Listen(context.WithoutCancel(h.run.ctx), "tcp4", netip.AddrPortFrom(h.Addr, goPort).String())
		return err
	})
	if err != nil {
		return nil, h.fails(err)
	}
	h.run.keep(l)
	return l.(*net.TCPListener), nil
}
