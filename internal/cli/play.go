package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"kax/internal/lab"
	"kax/internal/view"
)

// play runs an experiment on the best rung that its flags permit, shows its
// records, and ends it with --for, a signal, or an output that nobody takes.
func (a *app) play(cmd *cobra.Command, f packetFlags, out outputFlags, run func(context.Context, lab.Env) error) error {
	if f.write != "" && f.write == out.report {
		return contradiction("write", "report")
	}
	return a.climb(f, func(p place) error {
		if p.packets != nil {
			defer p.packets.Close()
		}
		ctx, cancel := context.WithCancelCause(cmd.Context())
		defer cancel(nil)
		if out.stop > 0 {
			var stop context.CancelFunc
			ctx, stop = context.WithTimeout(ctx, out.stop)
			defer stop()
		}
		report, err := a.openReport(out, f.write)
		if err != nil {
			return err
		}
		s := &sink{views: []view.View{report, out.view(a.stdout)}, stop: cancel}
		err = run(ctx, lab.Env{
			Command: commandName(cmd), Version: a.version,
			Source: p.source, Private: p.private, Packets: p.packets,
			On: f.on, Write: f.write, Frames: out.withFrames(), Emit: s.record,
			Slow: func(what string) { fmt.Fprintf(a.stderr, "kax: %s …\n", what) },
		})
		if s.err != nil {
			err = s.err
		}
		return errors.Join(err, report.close())
	})
}
