package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/spf13/cobra"

	"kax/internal/lab"
	"kax/tcpka"
)

type holdFlags struct {
	tcp         tcpFlags
	out         outputFlags
	packets     packetFlags
	connections int
	ipv6        bool
}

func newHoldFlags() holdFlags {
	return holdFlags{
		tcp:     tcpFlags{set: tcpka.Settings{Enabled: true}},
		out:     outputFlags{tcpOnly: true},
		packets: packetFlags{host: true},
	}
}

func (a *app) dialCmd() *cobra.Command {
	f := newHoldFlags()
	cmd := &cobra.Command{
		Use:   "dial HOST:PORT",
		Short: "hold idle connections with given settings, and watch them",
		Long: `Connects to HOST:PORT, sends nothing, and shows each keepalive probe as it goes,
against the moment for which it was predicted, until the connection is dead,
--for is over, or ^C. Settings that are not given are this machine's. What the
peer sends is thrown away.

When the connection dies it says what a program sees of that. Packets take
CAP_NET_RAW, or a tcpdump beside it; without them kax goes by the kernel's
counters:

  sudo tcpdump -i lo -U -w - tcp port 3000 |
    kax tcp dial 127.0.0.1:3000 --packets -`,
		Example: `  kax tcp dial 127.0.0.1:3000 --keepidle 1 --keepintvl 1 --keepcnt 3 --for 4s
  kax tcp dial 127.0.0.1:3000 --keepidle 1 --list --for 3s
  kax tcp dial 127.0.0.1:3000 --source counters --keepidle 1 --for 3s`,
		Args: exactly("HOST:PORT"),
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			_, port, err := net.SplitHostPort(args[0])
			if err != nil {
				return usage(fmt.Errorf("%q: must be host:port, as in 127.0.0.1:80 or [::1]:80", args[0]))
			}
			if n, err := strconv.Atoi(port); err == nil && (n < 1 || n > 65535) {
				return usage(fmt.Errorf("%q: the port must be from 1 to 65535, or a service's name", args[0]))
			}
			return a.hold(cmd, f, args[0], func(ctx context.Context, h lab.Hold, env lab.Env) error {
				return dialHint(h.Dial(ctx, env, "tcp", args[0]))
			})
		}),
	}
	f.register(cmd)
	cmd.Flags().IntVar(&f.connections, "connections", 1, "how many to open")
	return cmd
}

func (a *app) listenCmd() *cobra.Command {
	f := newHoldFlags()
	f.packets.listens = true
	cmd := &cobra.Command{
		Use:   "listen [ADDR]",
		Short: "accept connections, show what they inherit, and watch them",
		Long: `Listens on ADDR (default 127.0.0.1:3000) with the settings on the listener,
shows what each accepted connection inherits of them, and holds it idle: as "kax
tcp dial" does from the other side. Runs until --for is over, or ^C.

An ADDR without a host, as in :8080, is on loopback, which only this machine
reaches; 0.0.0.0:8080 is on every interface.`,
		Example: `  kax tcp listen --keepidle 1 --for 3s
  kax tcp listen 127.0.0.1:8080 --keepidle 10 --keepintvl 5 --keepcnt 3 --for 1s
  kax tcp listen '[::1]:3000' --no-keepalive --for 1s`,
		Args: atMost(1),
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			addr := ""
			if len(args) == 1 {
				addr = args[0]
			}
			network, addr, err := listenAddress(addr, f.ipv6)
			if err != nil {
				return err
			}
			return a.hold(cmd, f, addr, func(ctx context.Context, h lab.Hold, env lab.Env) error {
				return listenHint(h.Listen(ctx, env, network, addr))
			})
		}),
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.ipv6, "ipv6", false, "without ADDR: listen on [::1]:3000")
	return cmd
}

func (f *holdFlags) register(cmd *cobra.Command) {
	f.tcp.register(cmd)
	f.packets.register(cmd)
	f.out.register(cmd)
}

func (a *app) hold(cmd *cobra.Command, f holdFlags, addr string, run func(context.Context, lab.Hold, lab.Env) error) error {
	if err := errors.Join(f.packets.check(), f.out.check()); err != nil {
		return err
	}
	if f.connections < 0 || f.connections == 0 && cmd.Flags().Lookup("connections") != nil {
		return usage(errors.New("--connections: must be above 0"))
	}
	settings, err := f.tcp.settings(cmd)
	if err != nil {
		return err
	}
	if f.packets.tcpdump {
		return a.tcpdump(f.packets, addr)
	}
	if err := f.packets.interfaceThere(); err != nil {
		return err
	}
	hz, err := a.hz()
	if err != nil {
		return err
	}
	h := lab.Hold{Settings: settings, HZ: hz, Connections: f.connections}
	return a.play(cmd, f.packets, f.out, func(ctx context.Context, env lab.Env) error {
		err := run(ctx, h, env)
		if errors.Is(err, errInterrupted) {
			return nil // it runs until ^C
		}
		return err
	})
}
