package cli

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"

	"github.com/spf13/cobra"

	"kax/internal/known"
	"kax/internal/timeline"
	"kax/internal/view"
	"kax/tcpka"
)

type planFlags struct {
	tcp   tcpFlags
	hz    int
	json  bool
	color string
}

func (a *app) planCmd() *cobra.Command {
	f := planFlags{tcp: tcpFlags{set: tcpka.Settings{Enabled: true}}}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "when will probes go, when is a peer given up: predicted",
		Long: `Predicts from keepalive settings when Linux sends probes on an idle connection,
when it gives up a peer that has gone, and whether the connection outlives the
idle timeouts of systems that people meet. What is not given is this machine's
(its sysctls).

The model is the kernel's: its timers fire at ticks that are coarser the further
away they are, never early. A single time is exact; a range is what that leaves
open. A busy machine adds a few milliseconds.`,
		Example: `  kax tcp plan
  kax tcp plan --keepidle 60 --keepintvl 10 --keepcnt 3
  kax tcp plan --keepidle 5m --user-timeout 30s
  kax tcp plan --no-keepalive
  kax tcp plan --keepidle 75 --keepintvl 75 --hz 1000 --json`,
		Args: atMost(0),
		RunE: a.run(func(cmd *cobra.Command, _ []string) error { return a.plan(cmd, f) }),
	}
	f.tcp.register(cmd)
	fs := cmd.Flags()
	fs.Var(ticks(&f.hz), "hz", "timer ticks a second (CONFIG_HZ) of another kernel")
	registerShown(cmd, &f.json, &f.color)
	return cmd
}

func (a *app) plan(cmd *cobra.Command, f planFlags) error {
	asked, err := f.tcp.settings(cmd)
	if err != nil {
		return err
	}
	effective, err := complete(asked)
	if err != nil {
		return err
	}
	if f.hz == 0 {
		if f.hz, err = a.hz(); err != nil {
			return err
		}
	}
	p, err := timeline.NewPlan(asked, effective, f.hz)
	if err != nil {
		return err
	}
	p.Systems = through(p)
	o := view.Options{Width: width(a.stdout), Color: colored(f.color, a.stdout)}
	var v view.View = view.NewLanes(a.stdout, o)
	if f.json {
		v = view.NewJSON(a.stdout, o)
	}
	if err := v.Record(a.header("tcp plan", timeline.Settings{})); err != nil {
		return err
	}
	return v.Record(timeline.Record{Plan: p})
}

// complete adds what a socket of this machine has where nothing was asked.
func complete(asked tcpka.Settings) (tcpka.Settings, error) {
	s, err := tcpka.Defaults()
	if err != nil {
		return tcpka.Settings{}, fmt.Errorf("find this machine's settings: %w", err)
	}
	s.Enabled = asked.Enabled
	if asked.Idle != 0 {
		s.Idle = asked.Idle
	}
	if asked.Interval != 0 {
		s.Interval = asked.Interval
	}
	if asked.Count != 0 {
		s.Count = asked.Count
	}
	if asked.UserTimeout != 0 {
		s.UserTimeout = asked.UserTimeout
	}
	return s, nil
}

// usualHZ is what most distributions build their kernels with.
const usualHZ = 250

// hz is this machine's, or the usual one where that is not to be known.
func (a *app) hz() (int, error) {
	hz, err := tcpka.HZ()
	if errors.Is(err, errors.ErrUnsupported) {
		fmt.Fprintf(a.stderr, "kax: the model is Linux's, and this is %s: taking HZ %d (--hz)\n", runtime.GOOS, usualHZ)
		return usualHZ, nil
	}
	return hz, err
}

// through compares a plan with the timeouts of known systems.
func through(p *timeline.Plan) []timeline.Through {
	var out []timeline.Through
	for _, s := range known.Systems() {
		out = append(out, timeline.Through{
			System: s.Name, Kind: string(s.Kind), Timeout: timeline.Seconds(s.IdleTimeout),
			Counts: s.ProbesCount(), Note: s.Note, Source: s.Source, Year: s.Year,
			Kept: s.ProbesCount() && p.First != nil && p.Silence < timeline.Seconds(s.IdleTimeout),
		})
	}
	return out
}

// ticks is a kernel's HZ.
func ticks(hz *int) value {
	return value{
		kind: "ticks",
		get: func() string {
			if *hz == 0 {
				return "" // no default to show
			}
			return strconv.Itoa(*hz)
		},
		set: func(s string) error {
			v, err := strconv.Atoi(s)
			if err != nil || v < tcpka.MinHZ || v > tcpka.MaxHZ {
				return fmt.Errorf("must be from %d to %d", tcpka.MinHZ, tcpka.MaxHZ)
			}
			*hz = v
			return nil
		},
	}
}
