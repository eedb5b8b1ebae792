package hosts

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
)

// Translate makes a host that is linked to both a router, which gives what comes
// from inside its own address and knows connections by that. Where the kernel
// has no nf_conntrack or no nftables the error says so, and matches
// errors.ErrUnsupported.
func (h *Host) Translate(inside, outside *Host, o NAT) error {
	if err := h.Do(func() error { return translate(inside.Name, outside.Name, o) }); err != nil {
		return fmt.Errorf("host %s: nftables: %w", h.Name, missing(err))
	}
	return errors.Join(
		h.Sysctl("ipv4/ip_forward", "1"),
		// Else conntrack takes up in midstream what it has forgotten.
		h.Sysctl("netfilter/nf_conntrack_tcp_loose", "0"),
		h.Sysctl("netfilter/nf_conntrack_tcp_timeout_established", strconv.Itoa(int(o.Forget/time.Second))),
	)
}

func translate(inside, outside string, o NAT) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "nat"})
	out := c.AddChain(&nftables.Chain{
		Name: "out", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: out, Exprs: append(named(expr.MetaKeyOIFNAME, outside), &expr.Masq{})})

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
		rule(append(append(named(expr.MetaKeyIIFNAME, inside), state(expr.CtStateBitNEW)...), accept)...)
	}
	return c.Flush()
}

// Remembered is for how much longer a router will know an idle connection from
// inside, by its client's and server's addresses; false says that it does not
// know it.
func (h *Host) Remembered(client, server netip.AddrPort) (left time.Duration, ok bool, err error) {
	err = h.Do(func() error {
		flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, netlink.FAMILY_V4)
		if err != nil {
			return fmt.Errorf("host %s: conntrack: %w", h.Name, missing(err))
		}
		for _, f := range flows {
			src, _ := netip.AddrFromSlice(f.Forward.SrcIP)
			dst, _ := netip.AddrFromSlice(f.Forward.DstIP)
			if netip.AddrPortFrom(src.Unmap(), f.Forward.SrcPort) == client && netip.AddrPortFrom(dst.Unmap(), f.Forward.DstPort) == server {
				left, ok = time.Duration(f.TimeOut)*time.Second, true
			}
		}
		return nil
	})
	return left, ok, err
}

// Routed is a client, a router that translates, and a server: the network of a
// home or a cloud behind a NAT.
type Routed struct {
	Client, Router, Server *Host
	ClientAddr, ServerAddr netip.Addr
}

// NewRouted builds it, in two subnets.
func NewRouted(o NAT, inside, outside netip.Prefix) (r *Routed, err error) {
	r = new(Routed)
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	for name, h := range map[string]**Host{"client": &r.Client, "router": &r.Router, "server": &r.Server} {
		if *h, err = New(name); err != nil {
			return nil, err
		}
	}
	var gateway, outer netip.Addr
	if gateway, r.ClientAddr, err = Link(r.Router, r.Client, inside); err != nil {
		return nil, err
	}
	if outer, r.ServerAddr, err = Link(r.Router, r.Server, outside); err != nil {
		return nil, err
	}
	err = errors.Join(r.Client.Via(gateway), r.Server.Via(outer), r.Router.Translate(r.Client, r.Server, o))
	return r, err
}

// Close lets go of the hosts.
func (r *Routed) Close() {
	for _, h := range []*Host{r.Client, r.Router, r.Server} {
		if h != nil {
			_ = h.Close()
		}
	}
}
