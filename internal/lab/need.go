package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"kax/internal/capture"
	"kax/internal/hosts"
	"kax/internal/netns"
)

// Possible says why hosts cannot be made here; nil says that they can.
func Possible() error {
	if err := netns.LoopbackUp(); err != nil {
		return err
	}
	return on("host", func(h *hosts.Host) error {
		return h.Do(func() error {
			live, err := capture.OpenLive()
			if err != nil {
				return err
			}
			return live.Close()
		})
	})
}

// A Need is a part of the kernel, and how to find out whether it is there: in a
// network namespace that nobody else uses.
type Need struct {
	Name    string
	Modules string // that it may be in
	There   func() error
}

// needLinks is for labs of more than one host.
func needLinks() Need {
	return Need{"links between hosts", "veth", func() error {
		return on("client", func(h *hosts.Host) error {
			return on("server", func(other *hosts.Host) error {
				_, _, err := hosts.Link(h, other, netip.MustParsePrefix("10.0.0.0/24"))
				return err
			})
		})
	}}
}

// needFilter is for labs that lose packets.
func needFilter() Need {
	return Need{"nftables", "nf_tables", func() error {
		return on("filter", func(h *hosts.Host) error { _, err := h.Silence(); return err })
	}}
}

// needConntrack is for labs with a router that translates.
func needConntrack() Need {
	return Need{"nf_conntrack", "nf_conntrack, nf_conntrack_netlink, nf_tables, nft_chain_nat, nft_ct, nft_masq", func() error {
		return on("router", func(h *hosts.Host) error {
			err := h.Translate(&hosts.Host{Name: "client"}, &hosts.Host{Name: "server"}, hosts.NAT{Forget: time.Second})
			if err == nil {
				_, _, err = h.Remembered(netip.AddrPort{}, netip.AddrPort{})
			}
			return err
		})
	}}
}

// on tries something on a host of its own.
func on(name string, f func(*hosts.Host) error) error {
	h, err := hosts.New(name)
	if err != nil {
		return err
	}
	return errors.Join(f(h), h.Close())
}

// Lacks says which part that the lab needs the kernel does not have here, and
// nil where there is everything. The error matches errors.ErrUnsupported.
func (l Lab) Lacks() error {
	needs := l.Needs
	if !l.alone {
		needs = append([]Need{needLinks()}, needs...)
	}
	for _, n := range needs {
		err := n.There()
		if errors.Is(err, errors.ErrUnsupported) {
			return fmt.Errorf("lab %s needs %s, which this kernel has not (modules: %s): %w", l.Name, n.Name, n.Modules, err)
		}
		if err != nil {
			return fmt.Errorf("lab %s needs %s: %w: %w here", l.Name, n.Name, err, errors.ErrUnsupported)
		}
	}
	return nil
}
