package tcpka_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"kax/internal/capture"
	"kax/internal/need"
	"kax/internal/netns"
	"kax/internal/wire"
	"kax/tcpka"

	"golang.org/x/sys/unix"
)

// The kernel sends zero-window probes and keepalive probes of the same form,
// and counts them apart: Flow must come to the kernel's numbers.
func TestFlowCountsAsTheKernel(t *testing.T) {
	t.Parallel()
	ran := false
	err := netns.Do(func() error { ran = true; return countBoth() })
	if !ran {
		need.Permission(t, "make a network namespace", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func countBoth() error {
	lc := net.ListenConfig{KeepAlive: -1} // one side probes
	l, err := lc.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	live, err := capture.OpenLive()
	if err != nil {
		return err
	}
	defer live.Close()
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	if err := live.Start(capture.Filter{Interface: "lo", Ports: []uint16{port}}); err != nil {
		return err
	}
	eager := tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 9}
	client, err := eager.Dialer().Dial("tcp4", l.Addr().String())
	if err != nil {
		return err
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		return err
	}
	defer server.Close()

	var flow tcpka.Flow
	kinds := make(map[tcpka.Kind]int)
	// until follows the flow up to the nth segment of a kind.
	until := func(kind tcpka.Kind, nth int) error {
		for guard := time.Now().Add(time.Minute); kinds[kind] < nth; {
			p, ok, err := live.Next(time.Second)
			if err != nil {
				return err
			}
			if time.Now().After(guard) {
				return fmt.Errorf("after a minute %v, want %d × %v", kinds, nth, kind)
			}
			if !ok {
				continue
			}
			var s wire.Segment
			if err := wire.Decode(p.Link, p.Data, &s); err != nil {
				return err
			}
			from := 0
			if s.Src.Port() == port {
				from = 1
			}
			kinds[flow.Next(from, tcpka.Segment{
				Seq: s.Seq, Ack: s.Ack, Len: s.Len, Window: s.Window, Scale: s.Scale, Flags: tcpka.Flags(s.Flags & 0xff),
			}).Kind]++
		}
		return nil
	}
	count := func(what string, windowProbes, probes int) error {
		for name, want := range map[string]int{"TCPWinProbe": windowProbes, "TCPKeepAlive": probes} {
			if n, err := netns.Counter("TcpExt", name); n != want || err != nil {
				return fmt.Errorf("%s: %s is %d, %v; Flow counts %v", what, name, n, err, kinds)
			}
		}
		return nil
	}

	// The server does not read: its window closes. The third probe comes later
	// than the idle time, which data in flight puts off.
	sent, err := fill(client.(*net.TCPConn))
	if err != nil {
		return err
	}
	if err := until(tcpka.WindowProbeAnswer, 3); err != nil {
		return err
	}
	if err := count("window closed", kinds[tcpka.WindowProbe], 0); err != nil {
		return err
	}
	if n := kinds[tcpka.Probe] + kinds[tcpka.ProbeAnswer]; n != 0 {
		return fmt.Errorf("window closed: %d keepalive segments among %v", n, kinds)
	}

	// The server reads, the window opens, and the connection falls idle.
	if _, err := io.CopyN(io.Discard, server, int64(sent)); err != nil {
		return err
	}
	if err := until(tcpka.ProbeAnswer, 2); err != nil {
		return err
	}
	if _, err := tcpka.Set(client.(*net.TCPConn), tcpka.Settings{}); err != nil {
		return err
	}
	return count("idle", kinds[tcpka.WindowProbe], kinds[tcpka.Probe])
}

// fill writes until the socket takes no more.
func fill(conn *net.TCPConn) (sent int, err error) {
	rc, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	b := make([]byte, 1<<16)
	werr := rc.Write(func(fd uintptr) bool {
		for {
			n, e := unix.Write(int(fd), b)
			if e != nil {
				err = e
				return true
			}
			sent += n
		}
	})
	if errors.Is(err, unix.EAGAIN) {
		err = nil
	}
	return sent, errors.Join(err, werr)
}
