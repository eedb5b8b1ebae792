package cli

import "github.com/spf13/cobra"

func (a *app) tcpCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "tcp",
		Short:   "TCP keepalive by itself",
		Example: `  kax tcp get --pid "$PID" --fd "$FD"`,
		Args:    a.subcommand,
		RunE:    a.run(showHelp),
	}
	cmd.AddCommand(a.tcpGetCmd(), a.tcpSetCmd(), a.tcpPokeCmd())
	return cmd
}
