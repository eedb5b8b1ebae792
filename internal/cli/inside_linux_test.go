package cli

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

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

// keepalives is the kernel's count of keepalive probes in this network.
func keepalives(t *testing.T) int {
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

// chain is a way that packets go, and where in the TCP header the port is.
type chain struct {
	hook   *nftables.ChainHook
	offset uint32
}

// What is dropped on its way in has been captured; what is dropped on its way
// out never was.
func into(port string) chain { return chain{nftables.ChainHookInput, portOffset(port)} }
func outOf(port string) chain {
	return chain{nftables.ChainHookOutput, portOffset(port)}
}

func portOffset(port string) uint32 {
	if port == "dport" {
		return 2
	}
	return 0
}

// drop makes segments of a port vanish on their way, until the returned
// function is called.
func drop(t *testing.T, way chain, port uint16) (lift func()) {
	t.Helper()
	nft, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	table := nft.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "vanish"})
	rules := nft.AddChain(&nftables.Chain{
		Name: "drops", Table: table, Type: nftables.ChainTypeFilter, Hooknum: way.hook, Priority: nftables.ChainPriorityFilter,
	})
	nft.AddRule(&nftables.Rule{Table: table, Chain: rules, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: way.offset, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	if err := nft.Flush(); err != nil {
		t.Fatal(errors.Join(errors.New("drop packets"), err))
	}
	return func() {
		t.Helper()
		nft.DelTable(table)
		if err := nft.Flush(); err != nil {
			t.Fatal(errors.Join(errors.New("drop packets no more"), err))
		}
	}
}
