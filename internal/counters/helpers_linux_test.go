package counters_test

import (
	"context"
	"net"
	"testing"
	"time"

	"kax/internal/counters"
	"kax/tcpka"
)

const (
	// patience bounds a wait for something that is sure to come.
	patience = 30 * time.Second
	// often is how often a watcher looks, as kax's own does.
	often = 5 * time.Millisecond
)

var (
	off   = tcpka.Settings{}
	probe = tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 9}
)

// A pair is a connection over loopback, both of its ends watched.
type pair struct {
	t              testing.TB
	w              *counters.Watcher
	client, server *counters.Conn
	seen           []counters.Observation
}

// connect opens a pair. It may be called off the test's goroutine.
func connect(t testing.TB, client, server tcpka.Settings) (*pair, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l, err := server.ListenConfig().Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	out, err := client.Dialer().DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { out.Close() })
	in, err := l.Accept()
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { in.Close() })
	p := &pair{t: t, w: new(counters.Watcher)}
	if p.client, err = p.w.Watch(out.(*net.TCPConn), true); err != nil {
		return nil, err
	}
	if p.server, err = p.w.Watch(in.(*net.TCPConn), false); err != nil {
		return nil, err
	}
	return p, nil
}

func mustConnect(t testing.TB, client, server tcpka.Settings) *pair {
	t.Helper()
	p, err := connect(t, client, server)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// poll looks once.
func (p *pair) poll() { p.seen = append(p.seen, p.w.Poll()...) }

// until looks again and again until done, and reports whether it ever was.
func (p *pair) until(done func() bool) bool {
	ticker := time.NewTicker(often)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-ticker.C {
		p.poll()
		if done() {
			return true
		}
	}
	return false
}

// count counts what the client or the server has been seen to send.
func (p *pair) count(from *counters.Conn, k tcpka.Kind) int {
	n := 0
	for _, o := range p.seen {
		if o.Kind == k && o.From.String() == from.LocalAddr().String() && o.To.String() == from.RemoteAddr().String() {
			n++
		}
	}
	return n
}

// total counts what either has.
func (p *pair) total(k tcpka.Kind) int {
	return p.count(p.client, k) + p.count(p.server, k)
}

// exchange has both ends send and receive.
func (p *pair) exchange() {
	p.t.Helper()
	for _, ends := range [][2]*counters.Conn{{p.client, p.server}, {p.server, p.client}} {
		if _, err := ends[0].Write([]byte("hello")); err != nil {
			p.t.Fatal(err)
		}
		if _, err := ends[1].Read(make([]byte, 5)); err != nil {
			p.t.Fatal(err)
		}
	}
}
