package cli

import (
	"context"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"kax/internal/hosts"
	"kax/internal/netns"
)

// envInside says that the test binary is a test's own process in a user and
// network namespace of its own.
const envInside = "KAX_TEST_INSIDE"

func enterInside() error {
	if os.Getenv(envInside) == "" {
		return nil
	}
	return netns.LoopbackUp()
}

// inside reports whether the test is in a user and network namespace of its
// own, where it plays the peer, drops packets and reads the kernel's counters.
// If not it runs the test there, in a process of its own, and takes over how
// that ends.
func inside(t *testing.T) bool {
	t.Helper()
	if os.Getenv(envInside) != "" {
		return true
	}
	needNamespaces(t)
	names := strings.Split(t.Name(), "/")
	for i, name := range names {
		names[i] = "^" + regexp.QuoteMeta(name) + "$"
	}
	cmd := exec.Command("/proc/self/exe", "-test.run", strings.Join(names, "/"), "-test.v", "-test.count=1", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), envInside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	newNamespaces(cmd)
	// tcpdump's -Z sets groups, which only who is root outside can allow.
	cmd.SysProcAttr.GidMappingsEnableSetgroups = os.Geteuid() == 0
	out, err := cmd.CombinedOutput()
	switch text := string(out); {
	case err != nil:
		t.Errorf("inside: %v\n%s", err, text)
	case strings.Contains(text, "--- SKIP: "+t.Name()+" "):
		t.Skip(text)
	case !strings.Contains(text, "--- PASS: "+t.Name()+" "):
		t.Errorf("inside: the test did not run\n%s", text)
	}
	return false
}

// kernelProbes is the kernel's count of keepalive probes in this network.
func kernelProbes(t *testing.T) int {
	t.Helper()
	n, err := netns.Counter("TcpExt", "TCPKeepAlive")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// peer is the other end of kax's connections. It has no keepalive, and sends
// nothing that it is not told to.
type peer struct {
	*net.TCPListener
	addr string
	port uint16
}

func newPeer(t *testing.T, addr string) peer {
	t.Helper()
	lc := net.ListenConfig{KeepAlive: -1}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return peer{l.(*net.TCPListener), l.Addr().String(), l.Addr().(*net.TCPAddr).AddrPort().Port()}
}

func (p peer) accept(t *testing.T) *net.TCPConn {
	t.Helper()
	c, err := p.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// connect is the peer of a kax that listens.
func connect(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	d := net.Dialer{KeepAlive: -1}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// drop makes a port vanish from the network, until the returned function is
// called: what goes to it is captured and not answered.
func drop(t *testing.T, port uint16) (lift func()) {
	t.Helper()
	undo, err := hosts.Drop(port)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := undo(); err != nil {
			t.Fatal(err)
		}
	}
}

// bothWays runs a test with packets and by counters alone, each inside.
func bothWays(t *testing.T, test func(t *testing.T, mode string)) {
	for _, mode := range []string{asIs, noRawAs} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			if inside(t) {
				test(t, mode)
			}
		})
	}
}
