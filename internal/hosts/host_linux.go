package hosts

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"

	"kax/internal/netns"
)

// A Host is a machine: a network namespace with a name, held open until Close.
type Host struct {
	Name string
	*netns.Network
}

// New makes a host without links, with lo up. Nothing that it learns of one
// connection speeds up or slows down the next.
func New(name string) (*Host, error) {
	n, err := netns.New()
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	h := &Host{name, n}
	// Else a destination's retransmission timeout is kept (tcp_metrics).
	if err := h.Sysctl("ipv4/tcp_no_metrics_save", "1"); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// Sysctl sets one of the host's own, by its place below /proc/sys/net.
func (h *Host) Sysctl(name, value string) error {
	return h.Do(func() error {
		// /proc/sys/net is the calling thread's.
		if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
			return fmt.Errorf("host %s: %w", h.Name, err)
		}
		return nil
	})
}

// Count reads one of the host's counters, as [netns.Counter] does: how far it has
// risen since the host was made.
func (h *Host) Count(group, name string) (n int, err error) {
	err = h.Do(func() error {
		n, err = netns.Counter(group, name)
		return err
	})
	return n, err
}

// Link connects two hosts by a pair of veths, each named after the host at its
// other end. They get the first two addresses of the subnet.
func Link(a, b *Host, subnet netip.Prefix) (atA, atB netip.Addr, err error) {
	atA = subnet.Masked().Addr().Next()
	atB = atA.Next()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = b.Name
	err = a.Do(func() error {
		err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: a.Name, PeerNamespace: netlink.NsFd(b.FD())})
		if err != nil {
			return fmt.Errorf("link %s to %s: %w", a.Name, b.Name, missing(err))
		}
		return up(b.Name, netip.PrefixFrom(atA, subnet.Bits()))
	})
	if err == nil {
		err = b.Do(func() error { return up(a.Name, netip.PrefixFrom(atB, subnet.Bits())) })
	}
	return atA, atB, err
}

// up gives a link its address and turns it on.
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

// Via has the host send what is for elsewhere to a gateway.
func (h *Host) Via(gateway netip.Addr) error {
	return h.Do(func() error {
		if err := netlink.RouteAdd(&netlink.Route{Gw: gateway.AsSlice()}); err != nil {
			return fmt.Errorf("host %s: route: %w", h.Name, err)
		}
		return nil
	})
}
