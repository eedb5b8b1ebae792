package cli

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

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
