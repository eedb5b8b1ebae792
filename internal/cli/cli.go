// Package cli is kax's command tree: one file a command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"kax/internal/netns"
)

// app is what the commands share.
type app struct {
	stdout  *os.File
	stderr  io.Writer
	version string
	child   *netns.Child // nil outside a namespace that kax made
	running bool         // the command line was good and the command has begun
}

// Main runs kax with its arguments and returns the exit code.
func Main(args []string, stdout, stderr *os.File) int {
	child, err := netns.Inside()
	a := &app{stdout: stdout, stderr: stderr, version: version(), child: child}
	if err != nil {
		return a.exit(err)
	}
	ctx, cancel := a.context()
	defer cancel(nil)
	root := a.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return a.exit(root.ExecuteContext(ctx))
}

// errInterrupted ends the context of a command that ^C or a like signal stops.
var errInterrupted = errors.New("interrupted")

// context ends with the first signal that asks kax to stop; a second one kills
// it. Inside a namespace of its own the parent passes signals on, or ^C on a
// terminal would arrive twice.
func (a *app) context() (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	if a.child != nil {
		signal.Ignore(syscall.SIGINT)
		go func() {
			a.child.Wait()
			cancel(errInterrupted)
		}()
		return ctx, cancel
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		cancel(errInterrupted)
		signal.Stop(signals)
	}()
	return ctx, cancel
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "kax",
		Short: "the keepalive explorer: TCP keepalive and HTTP keep-alive on one timeline",
		Long: `kax, the keepalive explorer, shows two mechanisms that share a name and
nothing else:

  TCP keepalive    is the peer still there? The kernel sends empty probes on an
                   idle connection.
  HTTP keep-alive  may this connection carry another request? Client and server
                   decide, message by message.

Start with "kax demo". A duration is Go's (1m30s) or bare seconds (90).`,
		Example:           "  kax demo\n  kax http serve\n  kax help demo",
		Args:              a.subcommand,
		RunE:              showHelp,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	root.SuggestionsMinimumDistance = 2
	root.AddCommand(a.demoCmd(), a.httpCmd(), a.versionCmd())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Example = "  kax help demo"
		case "completion":
			c.Example = "  kax completion bash"
			for _, shell := range c.Commands() {
				shell.Example = "  kax completion " + shell.Name()
			}
		}
	}
	return root
}

// run marks that the command line was good: what fails from now on is no
// mistake in its use.
func (a *app) run(f func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.running = true
		return f(cmd, args)
	}
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// subcommand refuses an argument where a command is due.
func (a *app) subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return withHint(err, "did you mean %s?", strings.Join(near, " or "))
	}
	return withHint(err, "%q lists the commands", cmd.CommandPath()+" --help")
}
