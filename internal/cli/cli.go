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
	// A closed pipe is an error of the write that meets it, and not the end of
	// the process: files and namespaces are to be left complete.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, cancel := a.context()
	defer cancel(nil)
	root := a.root()
	out := &checked{Writer: stdout}
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(stderr)
	if err = root.ExecuteContext(ctx); err == nil {
		err = out.err
	}
	return a.exit(err)
}

// checked remembers the first error, which cobra's help does not tell.
type checked struct {
	io.Writer
	err error
}

func (c *checked) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	if c.err == nil {
		c.err = err
	}
	return n, err
}

// errInterrupted ends the context of a command that ^C or a like signal stops.
var errInterrupted = errors.New("interrupted")

// context ends with the first signal that asks kax to stop; a second ^C kills
// it. Inside a namespace of its own the parent decides: a signal to the whole
// process group, as from a terminal, arrives at both.
func (a *app) context() (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := netns.StopSignals()
	go func() {
		<-signals
		cancel(errInterrupted)
		if a.child == nil {
			signal.Reset(os.Interrupt)
		}
	}()
	if a.child != nil {
		go func() {
			a.child.Wait()
			cancel(errInterrupted)
		}()
	}
	return ctx, cancel
}

// helpWidth is what any terminal has.
const helpWidth = 80

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
		RunE:              a.run(showHelp),
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	root.SuggestionsMinimumDistance = 2
	root.Version = a.version
	root.SetVersionTemplate(a.versionLine())
	root.AddCommand(a.demoCmd(), a.decodeCmd(), a.tcpCmd(), a.httpCmd(), a.watchCmd(), a.readCmd(), a.labCmd(), a.uiCmd(), a.explainCmd(), a.versionCmd())
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", helpWidth)))
	root.SetHelpCommand(a.helpCmd(root))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	completeRest(root)
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Example = "  kax completion bash"
			c.Args, c.RunE = a.subcommand, a.run(showHelp)
			for _, shell := range c.Commands() {
				shell.Example = "  kax completion " + shell.Name()
			}
		}
	}
	return root
}

// helpCmd is cobra's own, but for a command that is not there: that is a
// mistake, and no help.
func (a *app) helpCmd(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "help about any command",
		Example: "  kax help demo",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			if cmd, rest, err := root.Find(args); err == nil && len(rest) == 0 {
				for _, sub := range cmd.Commands() {
					if sub.IsAvailableCommand() {
						names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err == nil {
				err = a.subcommand(cmd, rest)
			}
			if err != nil {
				return err
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
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

// atMost refuses more arguments than a command takes.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return fmt.Errorf("%s: unexpected argument %q", cmd.CommandPath(), args[n])
		}
		return nil
	}
}

// exactly demands one argument, which it names.
func exactly(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%s: give %s", cmd.CommandPath(), name)
		}
		return atMost(1)(cmd, args)
	}
}

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
