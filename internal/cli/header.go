package cli

import (
	"time"

	"github.com/spf13/cobra"

	"kax/internal/timeline"
)

// header is the first record of a command without a timeline.
func (a *app) header(command string, s timeline.Settings) timeline.Record {
	return timeline.Record{Header: &timeline.Header{
		Schema: timeline.Schema, Version: a.version, Command: command, Started: time.Now().Round(0), Settings: s,
	}}
}

// commandName is a command without the program: "tcp dial".
func commandName(cmd *cobra.Command) string { return cmd.CommandPath()[len("kax "):] }
