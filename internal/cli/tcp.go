package cli

import "github.com/spf13/cobra"

func (a *app) tcpCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:                        "tcp",
		Short:                      "TCP keepalive by itself",
		Example:                    "  kax tcp plan",
		Args:                       a.subcommand,
		RunE:                       a.run(showHelp),
		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(a.planCmd(), a.dialCmd(), a.listenCmd(), a.socketsCmd(), a.tcpGetCmd(), a.tcpSetCmd(), a.tcpPokeCmd())
	return cmd
}
