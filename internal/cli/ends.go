package cli

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/spf13/cobra"

	"kax/internal/capture"
)

// endsFlags say which connections are wanted, by their ends.
type endsFlags struct {
	hosts []string
	ports []uint16
}

func (f *endsFlags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.Var(ports(&f.ports), "port", "only connections with this `port`; may be repeated")
	fs.StringSliceVar(&f.hosts, "host", nil, "only connections with this `address` or name; may be repeated")
}

func (f *endsFlags) given() bool { return len(f.hosts) > 0 || len(f.ports) > 0 }

// complete looks the names up, and adds what is wanted to a filter.
func (f *endsFlags) complete(ctx context.Context, to *capture.Filter) error {
	to.Ports = append(to.Ports, f.ports...)
	for _, name := range f.hosts {
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		if err != nil {
			return withHint(fmt.Errorf("--host %s: %w", name, err), "an address works without a resolver, as in --host 192.0.2.1")
		}
		for _, a := range found {
			if a = a.Unmap().WithZone(""); !slices.Contains(to.Hosts, a) {
				to.Hosts = append(to.Hosts, a)
			}
		}
	}
	return nil
}
