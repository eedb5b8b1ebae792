package sockets_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"kax/internal/hosts"
	"kax/internal/netns"
	"kax/internal/sockets"
	"kax/tcpka"
)

// A pair is a connection within the calling thread's network namespace. One end
// is borrowed, as if this test were another program.
type pair struct {
	*sockets.Borrowed
	mine, peer *net.TCPConn
	lift       func() error
}

// connect leaves both ends' options as the system has them, but for what s says
// of the borrowed one.
func connect(t *testing.T, s tcpka.Settings) (*pair, error) {
	lc := &net.ListenConfig{KeepAlive: -1}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	mine, err := (&net.Dialer{KeepAlive: -1}).Dial("tcp4", l.Addr().String())
	if err != nil {
		return nil, err
	}
	peer, err := l.Accept()
	if err != nil {
		return nil, err
	}
	p := &pair{mine: mine.(*net.TCPConn), peer: peer.(*net.TCPConn)}
	if _, err := tcpka.Set(p.mine, s); err != nil {
		return nil, err
	}
	raw, err := p.mine.SyscallConn()
	if err != nil {
		return nil, err
	}
	self, err := sockets.OpenProcess(os.Getpid())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { self.Close() })
	var borrowErr error
	if err := raw.Control(func(fd uintptr) { p.Borrowed, borrowErr = self.Borrow(int(fd)) }); err != nil {
		return nil, err
	}
	if borrowErr != nil {
		return nil, borrowErr
	}
	t.Cleanup(func() {
		p.Close()
		mine.Close()
		peer.Close()
	})
	return p, nil
}

// vanish loses everything that the peer sends or is sent.
func (p *pair) vanish() (err error) {
	p.lift, err = hosts.Drop(p.peer.LocalAddr().(*net.TCPAddr).AddrPort().Port())
	return err
}

// until waits for a state of the borrowed socket.
func (p *pair) until(what string, ok func(sockets.Status) bool) error {
	for guard := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		st, err := p.Status()
		if err != nil {
			return err
		}
		if ok(st) {
			return nil
		}
		if time.Now().After(guard) {
			return fmt.Errorf("after a minute not %s: %+v", what, st)
		}
	}
}

func (p *pair) quiet(d time.Duration) error {
	return p.until(fmt.Sprintf("quiet for %v", d), func(st sockets.Status) bool { return st.Quiet() >= d })
}

// has reports whether the borrowed socket has these settings.
func (p *pair) has(want tcpka.Settings) error {
	got, err := tcpka.GetFD(p.FD())
	if err == nil && got != want {
		err = fmt.Errorf("the socket has %+v, and had %+v", got, want)
	}
	return err
}

// exchange proves that the connection works, both ways.
func (p *pair) exchange() error {
	for _, way := range [][2]net.Conn{{p.mine, p.peer}, {p.peer, p.mine}} {
		if _, err := way[0].Write([]byte("x")); err != nil {
			return err
		}
		if err := way[1].SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			return err
		}
		if _, err := way[1].Read(make([]byte, 1)); err != nil {
			return err
		}
	}
	return nil
}

// probes demands a number of probes sent in the namespace, ever.
func probes(want int) error {
	n, err := netns.Counter("TcpExt", "TCPKeepAlive")
	if err == nil && n != want {
		err = fmt.Errorf("the kernel has sent %d probes, want %d", n, want)
	}
	return err
}
