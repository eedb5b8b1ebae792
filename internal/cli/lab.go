package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"kax/internal/lab"
	"kax/internal/timeline"
	"kax/internal/view"
)

func (a *app) labCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:                        "lab",
		Short:                      "experiments that answer one question each",
		Example:                    "  kax lab list",
		Args:                       a.subcommand,
		RunE:                       a.run(showHelp),
		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(a.labListCmd(), a.labRunCmd())
	return cmd
}

func (a *app) labListCmd() *cobra.Command {
	var (
		json  bool
		color string
	)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "the labs, and the question that each answers",
		Example: "  kax lab list\n  kax lab list --json",
		Args:    atMost(0),
		RunE: a.run(func(cmd *cobra.Command, _ []string) error {
			v := a.labsView(json, color)
			if err := v.Record(a.header(commandName(cmd), timeline.Settings{})); err != nil {
				return err
			}
			for _, l := range lab.Labs() {
				if err := v.Record(timeline.Record{Lab: l.Record(nil)}); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	registerShown(cmd, &json, &color)
	return cmd
}

// labsView shows labs by the line.
func (a *app) labsView(json bool, color string) view.View {
	o := view.Options{Width: width(a.stdout), Color: colored(color, a.stdout)}
	if json {
		return view.NewJSON(a.stdout, o)
	}
	return view.NewLabs(a.stdout, o)
}

// labNames completes them.
func labNames(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	words := []cobra.Completion{cobra.CompletionWithDesc(allLabs, "all of them, as a self-test")}
	for _, l := range lab.Labs() {
		words = append(words, cobra.CompletionWithDesc(l.Name, l.Question))
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// findLab is the lab of that name.
func findLab(name string) (lab.Lab, error) {
	l, ok := lab.Find(name)
	if ok {
		return l, nil
	}
	var names []string
	for _, l := range lab.Labs() {
		names = append(names, l.Name)
	}
	return lab.Lab{}, withHint(usage(fmt.Errorf("%q: no such lab", name)), "there are %s; all runs all of them", strings.Join(names, ", "))
}
