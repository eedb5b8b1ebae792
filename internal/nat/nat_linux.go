// Package nat builds a small network in namespaces: a client, a router that
// translates its address, and a server. The router forgets idle connections.
package nat

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"

	"kax/internal/netns"
)

// Options say how the router treats connections.
type Options struct {
	// Forget is how long it remembers an idle one, in whole seconds
	// (nf_conntrack_tcp_timeout_established).
	Forget time.Duration

	// Leaky has the router forward what it does not know, without translating
	// it. Otherwise it drops that without a word.
	Leaky bool
}

// Net is the network. The names of the links on the router are inside and
// outside.
type Net struct {
	Client, Router, Server *netns.Network
	ClientAddr, ServerAddr netip.Addr
}

var (
	clientNet = netip.MustParsePrefix("10.0.0.2/24")
	insideNet = netip.MustParsePrefix("10.0.0.1/24")
	outerNet  = netip.MustParsePrefix("192.0.2.1/24") // RFC 5737
	serverNet = netip.MustParsePrefix("192.0.2.2/24")
)

// New builds it. That takes CAP_SYS_ADMIN and CAP_NET_ADMIN, which a user
// namespace of one's own gives.
func New(o Options) (n *Net, err error) {
	n = &Net{ClientAddr: clientNet.Addr(), ServerAddr: serverNet.Addr()}
	defer func() {
		if err != nil {
			n.Close()
			n = nil
		}
	}()
	for _, p := range []**netns.Network{&n.Client, &n.Router, &n.Server} {
		if *p, err = netns.New(); err != nil {
			return n, err
		}
	}
	err = n.Router.Do(func() error {
		if err := errors.Join(link("inside", n.Client, insideNet), link("outside", n.Server, outerNet)); err != nil {
			return err
		}
		return route(o)
	})
	if err != nil {
		return n, err
	}
	err = n.Client.Do(func() error {
		return errors.Join(up("eth0", clientNet), gateway("eth0", insideNet.Addr()))
	})
	if err != nil {
		return n, err
	}
	return n, n.Server.Do(func() error {
		return errors.Join(up("eth0", serverNet), gateway("eth0", outerNet.Addr()))
	})
}

// Close lets go of the three namespaces.
func (n *Net) Close() {
	for _, ns := range []*netns.Network{n.Client, n.Router, n.Server} {
		if ns != nil {
			_ = ns.Close()
		}
	}
}

// link makes a link between this namespace and the eth0 of a peer.
func link(name string, peer *netns.Network, addr netip.Prefix) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(peer.FD())})
	if err != nil {
		return fmt.Errorf("make the link %s: %w", name, err)
	}
	return up(name, addr)
}

func up(name string, addr netip.Prefix) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	a, err := netlink.ParseAddr(addr.String())
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(l, a); err != nil {
		return fmt.Errorf("address of %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("turn on %s: %w", name, err)
	}
	return nil
}

func gateway(name string, via netip.Addr) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: via.AsSlice()}); err != nil {
		return fmt.Errorf("route: %w", err)
	}
	return nil
}

// route makes this namespace a router that translates addresses.
func route(o Options) error {
	if err := rules(o); err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	for _, s := range [][2]string{
		{"ipv4/ip_forward", "1"},
		// Else conntrack takes up in midstream what it has forgotten.
		{"netfilter/nf_conntrack_tcp_loose", "0"},
		{"netfilter/nf_conntrack_tcp_timeout_established", strconv.Itoa(int(o.Forget / time.Second))},
	} {
		// /proc/sys/net is the calling thread's.
		if err := os.WriteFile("/proc/sys/net/"+s[0], []byte(s[1]), 0); err != nil {
			return err
		}
	}
	return nil
}

func rules(o Options) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "nat"})
	out := c.AddChain(&nftables.Chain{
		Name: "out", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: out, Exprs: append(named(expr.MetaKeyOIFNAME, "outside"), &expr.Masq{})})

	policy := nftables.ChainPolicyDrop
	if o.Leaky {
		policy = nftables.ChainPolicyAccept
	}
	forward := c.AddChain(&nftables.Chain{
		Name: "forward", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter, Policy: &policy,
	})
	accept := &expr.Verdict{Kind: expr.VerdictAccept}
	rule := func(exprs ...expr.Any) { c.AddRule(&nftables.Rule{Table: table, Chain: forward, Exprs: exprs}) }
	rule(append(state(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), accept)...)
	if !o.Leaky {
		rule(append(state(expr.CtStateBitINVALID), &expr.Verdict{Kind: expr.VerdictDrop})...)
		rule(append(append(named(expr.MetaKeyIIFNAME, "inside"), state(expr.CtStateBitNEW)...), accept)...)
	}
	return c.Flush()
}

// named matches the name of a link.
func named(key expr.MetaKey, name string) []expr.Any {
	padded := make([]byte, 16) // IFNAMSIZ
	copy(padded, name)
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: padded},
	}
}

// state matches what conntrack says of a packet.
func state(bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{
			SourceRegister: 1, DestRegister: 1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: binaryutil.NativeEndian.PutUint32(0),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(0)},
	}
}
