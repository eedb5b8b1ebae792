package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"kax/internal/sockets"
	"kax/internal/timeline"
	"kax/tcpka"
)

type setFlags struct {
	target targetFlags
	tcp    tcpFlags
	json   bool
}

func (a *app) tcpSetCmd() *cobra.Command {
	var f setFlags
	cmd := &cobra.Command{
		Use:   "set",
		Short: "change a running program's keepalive settings",
		Long: `Changes keepalive settings of a TCP socket that another program has open, and
shows them before and after. The program need not restart, nothing is put into
it, and options that are not named stay as they are. It takes the right to trace
the program: being its user, or root.

Setting one of the times or the count turns keepalive on. --user-timeout 0 takes
the user timeout away, and leaves keepalive as it is. An idle time that has
already passed makes a probe due at once.`,
		Example: `  kax tcp set --pid "$PID" --fd "$FD" --keepidle 30 --keepintvl 10 --keepcnt 5
  kax tcp set --pid "$PID" --peer :"$PORT" --keepalive
  kax tcp set --pid "$PID" --all --no-keepalive`,
		Args: atMost(0),
		RunE: a.run(func(cmd *cobra.Command, _ []string) error {
			change, err := f.change(cmd)
			if err != nil {
				return err
			}
			t, err := f.target.open(a, cmd)
			if err != nil {
				return err
			}
			defer t.close()
			return a.tcpSet(cmd, t, change, f.json)
		}),
	}
	f.target.register(cmd, true)
	f.tcp.register(cmd)
	cmd.Flags().Lookup("user-timeout").Usage += "; 0 takes it away"
	cmd.Flags().BoolVar(&f.json, "json", false, "write records, one JSON object a line (docs/reference/records.md)")
	return cmd
}

// A change is what to set on each socket.
type change struct {
	tcpka.Settings
	keep bool // SO_KEEPALIVE as it is
}

// change is what the flags ask for.
func (f *setFlags) change(cmd *cobra.Command) (c change, err error) {
	given, others := cmd.Flags().Changed, false
	for _, name := range []string{"keepalive", "no-keepalive", "keepidle", "keepintvl", "keepcnt"} {
		others = others || given(name)
	}
	if !others && !given("user-timeout") {
		return c, withHint(usage(errors.New("nothing to set")),
			"give one of --keepalive, --no-keepalive, --keepidle, --keepintvl, --keepcnt and --user-timeout; \"kax tcp get\" reads them")
	}
	if c.Settings, err = f.tcp.settings(cmd); err != nil {
		return c, err
	}
	if given("user-timeout") && f.tcp.set.UserTimeout == 0 {
		c.UserTimeout = tcpka.NoUserTimeout
		c.keep = !others
	}
	return c, nil
}

func (a *app) tcpSet(cmd *cobra.Command, t *target, c change, json bool) error {
	hz, err := tcpka.HZ()
	if err != nil {
		return err
	}
	v, err := a.details(cmd, json)
	if err != nil {
		return err
	}
	for _, b := range t.sockets {
		if cmd.Context().Err() != nil {
			return errInterrupted
		}
		r, err := c.apply(cmd.Context(), b, hz)
		if err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
		r.Owner = t.owner(b)
		if err := v.Record(timeline.Record{Change: &r}); err != nil {
			return err
		}
	}
	return nil
}

// apply changes one socket, while no other kax does.
func (c change) apply(ctx context.Context, b *sockets.Borrowed, hz int) (timeline.Change, error) {
	unlock, err := b.Lock(ctx)
	if err != nil {
		return timeline.Change{}, err
	}
	defer unlock()
	before, err := look(b)
	if err != nil {
		return timeline.Change{}, err
	}
	want := c.Settings
	if c.keep {
		want.Enabled = before.settings.Enabled
	}
	after, err := tcpka.SetFD(b.FD(), want)
	if err != nil {
		return timeline.Change{}, fmt.Errorf("descriptor %d: %w", b.Number, err)
	}
	touched := sockets.Touched{
		On:       after.Enabled && !before.settings.Enabled,
		Idle:     want.Idle != 0,
		Interval: want.Interval != 0,
	}
	return timeline.Change{
		State: before.status.State.String(), Local: before.local, Peer: before.peer,
		Before: timeline.Options(before.settings), After: timeline.Options(after),
		Next: sockets.Next(before.status, after, touched, hz),
	}, nil
}
