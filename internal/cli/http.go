package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) httpCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:                        "http",
		Short:                      "HTTP persistent connections by themselves",
		Example:                    "  kax http serve\n  kax http idle http://127.0.0.1:8080/",
		Args:                       a.subcommand,
		RunE:                       a.run(showHelp),
		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(a.idleCmd(), a.raceCmd(), a.requestCmd(), a.serveCmd())
	return cmd
}
