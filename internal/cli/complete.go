package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kax/internal/sockets"
	"kax/internal/timeline"
	"kax/internal/view"
)

// completeFlag has the shell complete a flag's value. A flag that is not there
// is a mistake of the program's.
func completeFlag(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}

func fixed(words []string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// completePID offers the processes that have TCP sockets open.
func completePID(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	count, names := map[int]int{}, map[int]string{}
	for _, s := range live(0, 0) {
		for _, o := range append(s.Also, s.Owner) {
			if o.PID != 0 {
				count[o.PID]++
				names[o.PID] = o.Process
			}
		}
	}
	var words []cobra.Completion
	for pid, n := range count {
		words = append(words, cobra.CompletionWithDesc(strconv.Itoa(pid),
			fmt.Sprintf("%s, %s", view.Clean(names[pid]), timeline.Count(n, "TCP socket"))))
	}
	slices.Sort(words)
	return words, cobra.ShellCompDirectiveNoFileComp
}

// completePeer offers the other ends of established connections: those of the
// process that --pid has named already, if it has.
func completePeer(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	pid, _ := strconv.Atoi(cmd.Flag("pid").Value.String())
	var words []cobra.Completion
	for _, s := range live(pid, 1<<sockets.Established) {
		words = append(words, view.Clean(s.Peer.String()))
	}
	slices.Sort(words)
	return slices.Compact(words), cobra.ShellCompDirectiveNoFileComp
}

// live is the kernel's table; there is nothing to offer where it cannot be read.
func live(pid int, states sockets.States) []*sockets.Socket {
	t, err := sockets.List(sockets.Query{PID: pid, States: states})
	if err != nil {
		return nil
	}
	return t.Sockets
}

// completeStates completes the last of a list of states, by the names that the
// help uses.
func completeStates(_ *cobra.Command, _ []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	before := toComplete[:strings.LastIndexByte(toComplete, ',')+1]
	given := strings.Split(before, ",")
	var words []cobra.Completion
	for _, name := range sockets.StateNames() {
		if name == "estab" {
			name = "established"
		}
		if !slices.Contains(given, name) {
			words = append(words, before+name)
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// completeLocal offers this end's addresses of sockets, as completePeer does the
// other end's.
func completeLocal(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	pid, _ := strconv.Atoi(cmd.Flag("pid").Value.String())
	var words []cobra.Completion
	for _, s := range live(pid, 0) {
		words = append(words, view.Clean(s.Local.String()))
	}
	slices.Sort(words)
	return slices.Compact(words), cobra.ShellCompDirectiveNoFileComp
}

// completeFD offers the descriptors of the process that --pid has named.
func completeFD(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	pid, _ := strconv.Atoi(cmd.Flag("pid").Value.String())
	if pid == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []cobra.Completion
	for _, s := range live(pid, 0) {
		words = append(words, cobra.CompletionWithDesc(strconv.Itoa(s.Owner.FD),
			fmt.Sprintf("%s %s → %s", s.State, view.Clean(s.Local.String()), view.Clean(s.Peer.String()))))
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// completeRest sees to what no command has completed by itself: a value or an
// argument is a file's name only where it may be one.
func completeRest(root *cobra.Command) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if _, done := cmd.GetFlagCompletionFunc(f.Name); done {
				return
			}
			if words := strings.Split(f.Value.Type(), "|"); len(words) > 1 {
				completeFlag(cmd, f.Name, fixed(words))
				return
			}
			switch {
			case f.Name == "fd":
				completeFlag(cmd, f.Name, completeFD)
			case f.Name == "local":
				completeFlag(cmd, f.Name, completeLocal)
			case f.Name == "interface":
				completeFlag(cmd, f.Name, fixed(interfaceNames()))
			case strings.Contains(f.Usage, "`file`"):
				completeFlag(cmd, f.Name, func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
					return nil, cobra.ShellCompDirectiveDefault
				})
			}
		})
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(root)
}
