package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"kax/docs/reference"
	"kax/internal/page"
)

type explainFlags struct {
	noPager bool
	color   string
}

func (a *app) explainCmd() *cobra.Command {
	f := explainFlags{color: "auto"}
	cmd := &cobra.Command{
		Use:   "explain [TOPIC]",
		Short: "the reference at the prompt: flags, probe, timers, settings, timeouts and more",
		Long: `Prints a page of the reference (docs/reference): what the flags of a TCP header
mean, what a keepalive probe is, when probes go, what each system calls the
settings, which timeouts systems have, when HTTP connections are reused, what it
takes to see packets. Without a topic it lists the topics.

On a terminal a page that is longer than the screen goes through $PAGER, or
less(1); an empty PAGER is none.`,
		Example: `  kax explain
  kax explain flags
  kax explain timers
  kax explain timeouts --no-pager`,
		Args: atMost(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			if len(args) == 0 {
				for _, t := range reference.Topics() {
					names = append(names, cobra.CompletionWithDesc(t.Name, t.Title))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.explain(args, f) },
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.noPager, "no-pager", false, "print it all at once")
	fs.Var(oneOf(&f.color, "auto", "always", "never"), "color", "colour; auto is on a terminal without NO_COLOR")
	return cmd
}

func (a *app) explain(args []string, f explainFlags) error {
	if len(args) == 0 {
		a.running = true
		return a.topics()
	}
	topic, err := findTopic(args[0])
	if err != nil {
		return err
	}
	a.running = true
	heading := func(s string) string { return s }
	if colored(f.color, a.stdout) {
		heading = func(s string) string { return "\x1b[1m" + s + "\x1b[m" }
	}
	return a.page(page.Text(topic.Text, min(width(a.stdout), pageWidth), heading), f.noPager)
}

// pageWidth is as wide as text is read with ease.
const pageWidth = 100

func (a *app) topics() error {
	var b strings.Builder
	for _, t := range reference.Topics() {
		fmt.Fprintf(&b, "%-12s%s\n", t.Name, t.Title)
	}
	_, err := a.stdout.WriteString(b.String())
	return err
}

func findTopic(name string) (reference.Topic, error) {
	// cobra knows which names of commands are alike.
	names := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, t := range reference.Topics() {
		if t.Name == name {
			return t, nil
		}
		names.AddCommand(&cobra.Command{Use: t.Name, Run: func(*cobra.Command, []string) {}})
	}
	err := usage(fmt.Errorf("kax explain: unknown topic %q", name))
	if near := names.SuggestionsFor(name); len(near) > 0 {
		return reference.Topic{}, withHint(err, "did you mean %s?", strings.Join(near, " or "))
	}
	return reference.Topic{}, withHint(err, "kax explain lists the topics")
}
