package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"kax/httpka"
	"kax/internal/lab"
	"kax/internal/timeline"
	"kax/tcpka"
)

type demoFlags struct {
	tcp       tcpFlags
	out       outputFlags
	packets   packetFlags
	probeFrom string
	listen    string
	ipv6      bool
	demo      lab.Demo
}

func (a *app) demoCmd() *cobra.Command {
	f := demoFlags{probeFrom: string(timeline.Client), demo: lab.DefaultDemo()}
	f.tcp.set, f.demo.Client = f.demo.Client, tcpka.Settings{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "the whole story in three acts, from real packets",
		Long: `Runs an HTTP server and a client in this process, and shows the packets
between them beside the requests they carry, in three acts:

  close  two requests, each answered with "Connection: close": two connections
  keep   three requests over one connection, with pauses; the kernel's probes
         go by in between
  idle   nobody asks any more; probes are answered, and the server closes all
         the same when its idle timeout is over

Where kax may capture (root, CAP_NET_RAW) this happens on the host's loopback
interface; otherwise in a network namespace of its own; and where that is
forbidden too, without packets, from the kernel's counters. Or a tcpdump beside
it captures, wherever it can run:

  sudo tcpdump -i lo -U -w - tcp port 3000 | kax demo --packets -`,
		Example: `  kax demo
  kax demo --keepidle 2s --idle-timeout 3s
  kax demo --no-keepalive
  kax demo --probe-from both --list
  kax demo --json --only probe,probe-answer
  kax demo --tcpdump`,
		Args: atMost(0),
		RunE: a.run(func(cmd *cobra.Command, _ []string) error { return a.demo(cmd, f) }),
	}
	f.tcp.register(cmd)
	fs := cmd.Flags()
	fs.Var(oneOf(&f.probeFrom, string(timeline.Client), string(timeline.Server), "both"), "probe-from", "who has TCP keepalive on")
	fs.StringVar(&f.listen, "listen", "", "the server's `address`; without a host it is loopback, port 0 takes a free one (default 127.0.0.1:3000)")
	fs.BoolVar(&f.ipv6, "ipv6", false, "use IPv6: listen on [::1]:3000")
	fs.Var(duration(&f.demo.IdleTimeout, positive), "idle-timeout", "the server closes a connection that is idle for so long")
	fs.Var(durations(&f.demo.Pauses), "pause", "the client's pauses between requests, in turn")
	fs.BoolVar(&f.demo.NoReuse, "no-reuse", false, "the client closes after each response")
	fs.Var(oneOf(&f.demo.CloseWith, httpka.FIN, httpka.RST), "close-with", "how the server ends the connections of the first act")
	f.packets.register(cmd)
	f.out.register(cmd)
	return cmd
}

func (a *app) demo(cmd *cobra.Command, f demoFlags) error {
	if err := f.packets.check(); err != nil {
		return err
	}
	if err := f.out.check(); err != nil {
		return err
	}
	network, listen, err := listenAddress(f.listen, f.ipv6)
	if err != nil {
		return err
	}
	f.demo.Network, f.demo.Listen = network, listen
	settings, err := f.tcp.settings(cmd)
	if err != nil {
		return err
	}
	if !settings.Enabled && cmd.Flags().Changed("probe-from") {
		return contradiction("no-keepalive", "probe-from")
	}
	if f.probeFrom != string(timeline.Server) {
		f.demo.Client = settings
	}
	if f.probeFrom != string(timeline.Client) {
		f.demo.Server = settings
	}
	if f.packets.tcpdump {
		return a.tcpdump(f.packets, listen)
	}
	return a.play(cmd, f.packets, f.out, func(ctx context.Context, env lab.Env) error {
		return listenHint(f.demo.Run(ctx, env))
	})
}

// listenAddress completes an address, and says by which network to listen:
// "tcp" would make IPv6 of 0.0.0.0. Without a host it is loopback, which nobody
// else can reach.
func listenAddress(addr string, ipv6 bool) (network, address string, err error) {
	network, host, port := "tcp4", "127.0.0.1", "3000"
	if ipv6 {
		network, host = "tcp6", "::1"
	}
	if addr != "" {
		h, p, err := net.SplitHostPort(addr)
		if err != nil {
			return "", "", usage(fmt.Errorf("%q: must be host:port, as in 127.0.0.1:3000 or [::1]:3000", addr))
		}
		if n, err := strconv.Atoi(p); err != nil || n < 0 || n > 65535 {
			return "", "", usage(fmt.Errorf("%q: the port must be from 0 to 65535", addr))
		}
		port = p
		if h != "" {
			host = h
		}
		switch ip := net.ParseIP(host); {
		case ipv6 && (ip == nil || ip.To4() != nil):
			return "", "", usage(fmt.Errorf("%q: not an IPv6 address, with --ipv6", addr))
		case ip == nil:
			network = "tcp" // whatever the name stands for
		case ip.To4() == nil:
			network = "tcp6"
		}
	}
	return network, net.JoinHostPort(host, port), nil
}

// dialHint says what to do where nobody answers.
func dialHint(err error) error {
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return withHint(err, "--source counters does without packets")
	case errors.Is(err, syscall.ECONNREFUSED):
		return withHint(err, "nothing listens there; kax tcp listen does, or kax http serve")
	}
	if d := (*net.DNSError)(nil); errors.As(err, &d) {
		if d.IsNotFound {
			return withHint(err, "no such name, or no such service; numbers work too, as in 127.0.0.1:80")
		}
		return withHint(err, "the name could not be looked up: the resolver gave no answer; numbers work too, as in 127.0.0.1:80")
	}
	return err
}

// listenHint says what to do where a server could not listen.
func listenHint(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return withHint(err, "something listens there already; port 0, as in 127.0.0.1:0, takes a free one")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return withHint(err, "no interface here has this address; a network namespace of kax's own has loopback only")
	case errors.As(err, new(*net.DNSError)):
		return withHint(err, "give an address of this machine, as in 127.0.0.1:3000")
	case errors.Is(err, syscall.EACCES):
		return withHint(err, "ports below 1024 take root; port 0, as in 127.0.0.1:0, takes a free one")
	}
	return err
}
