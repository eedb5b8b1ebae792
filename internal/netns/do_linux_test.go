package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"kax/internal/capture"
	"kax/internal/need"
	"kax/internal/wire"
	"kax/tcpka"
)

// inNamespace runs f in a namespace, or skips the test where there is none to
// be had.
func inNamespace(t *testing.T, f func() error) {
	t.Helper()
	ran := false
	err := Do(func() error { ran = true; return f() })
	if !ran {
		need.Permission(t, "make a network namespace", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// id names the calling thread's network namespace.
func id() (string, error) { return os.Readlink("/proc/thread-self/ns/net") }

func TestDoIsANamespaceOfItsOwn(t *testing.T) {
	t.Parallel()
	outside, err := id()
	if err != nil {
		t.Fatal(err)
	}
	var first, second, child string
	inNamespace(t, func() (err error) {
		if first, err = id(); err != nil {
			return err
		}
		out, err := exec.Command("/proc/self/exe", "-test.run=^TestPrintNamespace$", "-test.v").Output()
		_, child, _ = strings.Cut(string(out), "namespace ")
		child, _, _ = strings.Cut(child, "\n")
		return err
	})
	inNamespace(t, func() (err error) { second, err = id(); return err })
	if first == outside || second == outside || first == second {
		t.Errorf("namespaces %s and %s, and outside %s", first, second, outside)
	}
	if child != first {
		t.Errorf("a process started in %s is in %q", first, child)
	}
	if after, err := id(); err != nil || after != outside {
		t.Errorf("afterwards outside is %s, %v; want %s", after, err, outside)
	}
}

// TestPrintNamespace is the process that TestDoIsANamespaceOfItsOwn starts.
func TestPrintNamespace(t *testing.T) {
	name, err := id()
	if err != nil {
		t.Fatal(err)
	}
	t.Log("namespace " + name)
}

func TestDoReturnsTheError(t *testing.T) {
	t.Parallel()
	want := errors.New("from inside")
	ran := false
	err := Do(func() error { ran = true; return want })
	if !ran {
		need.Permission(t, "make a network namespace", err)
	}
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

// A test's Fatal inside must not hang the test.
func TestDoEndsWithItsFunction(t *testing.T) {
	t.Parallel()
	if err := Do(func() error { runtime.Goexit(); return nil }); err == nil {
		t.Error("no error of a function that did not return")
	}
}

// A namespace has all ports free, and lo to use them on.
func TestDoPortsDoNotClash(t *testing.T) {
	t.Parallel()
	host, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	if l, err := net.Listen("tcp", host.Addr().String()); err == nil {
		l.Close()
		t.Fatalf("%v can be had twice", host.Addr())
	}
	inNamespace(t, func() error {
		addr := host.Addr().String()
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return fmt.Errorf("%s of the host answers inside", addr)
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		defer l.Close()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// The kernel's count of probes is the truth that a capture is held against:
// both must tell the same number, from a connection that is really idle.
func TestProbesCountedAndCaptured(t *testing.T) {
	t.Parallel()
	const wanted = 3
	inNamespace(t, func() error {
		l, err := untouched().Listen(context.Background(), "tcp4", "127.0.0.1:0")
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
		if n, err := Counter("TcpExt", "TCPKeepAlive"); err != nil || n != 0 {
			return fmt.Errorf("a new namespace has sent %d probes, error %v", n, err)
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
		var probes, answers int
		next := func(wait time.Duration) (bool, error) {
			p, ok, err := live.Next(wait)
			if err != nil || !ok {
				return false, err
			}
			var s wire.Segment
			if err := wire.Decode(p.Link, p.Data, &s); err != nil {
				return false, err
			}
			side := 0
			if s.Src.Port() == port {
				side = 1
			}
			switch k := flow.Next(side, tcpka.Segment{
				Seq: s.Seq, Ack: s.Ack, Len: s.Len, Window: s.Window, Scale: s.Scale, Flags: tcpka.Flags(s.Flags & 0xff),
			}).Kind; k {
			case tcpka.Probe:
				probes++
			case tcpka.ProbeAnswer:
				answers++
			}
			return true, nil
		}
		// Only a broken kernel or capture takes longer than the guard allows.
		for guard := time.Now().Add(time.Minute); answers < wanted; {
			if _, err := next(time.Second); err != nil {
				return err
			}
			if time.Now().After(guard) {
				return fmt.Errorf("after a minute %d probes and %d answers, want %d", probes, answers, wanted)
			}
		}
		// A turned-off keepalive sends nothing between the two counts.
		if _, err := tcpka.Set(client.(*net.TCPConn), tcpka.Settings{}); err != nil {
			return err
		}
		counted, err := Counter("TcpExt", "TCPKeepAlive")
		if err != nil {
			return err
		}
		for {
			ok, err := next(0)
			if err != nil {
				return err
			}
			if !ok {
				break
			}
		}
		if counted != probes || answers != probes {
			return fmt.Errorf("the kernel counts %d probes; captured: %d probes and %d answers", counted, probes, answers)
		}
		if n, err := live.Dropped(); n != 0 || err != nil {
			return fmt.Errorf("%d packets dropped, error %v", n, err)
		}
		return nil
	})
}

// untouched leaves keepalive off on accepted connections: theirs would be
// counted too.
func untouched() *net.ListenConfig { return &net.ListenConfig{KeepAlive: -1} }
