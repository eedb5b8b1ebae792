package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"kax/internal/lab"
	"kax/internal/netns"
	"kax/internal/timeline"
	"kax/internal/view"
)

// allLabs is the name that stands for all.
const allLabs = "all"

type labFlags struct {
	set   lab.Settings
	out   outputFlags
	write string
}

// settingFlags are those that not every lab has, and whether one does.
func settingFlags() map[string]func(lab.Settings) bool {
	tcp := func(s lab.Settings) bool { return s.TCP.Enabled }
	return map[string]func(lab.Settings) bool{
		"keepidle": tcp, "keepintvl": tcp, "keepcnt": tcp, "user-timeout": tcp,
		"idle-timeout": func(s lab.Settings) bool { return s.IdleTimeout > 0 },
		"requests":     func(s lab.Settings) bool { return s.Requests > 0 },
	}
}

func (a *app) labRunCmd() *cobra.Command {
	var f labFlags
	cmd := &cobra.Command{
		Use:   "run NAME|all",
		Short: "run a lab: its question, what happens, and the answer",
		Long: `Runs an experiment between hosts that are network namespaces of its own, with
links between them; nothing of it is left afterwards, and nobody else sees its
packets. It takes no root and no other program. The timeline shows a packet
where it was sent; -w writes it as each host's interface has seen it.

The answer is computed from the packets and the kernel's counters of each host.
If these contradict what the lab teaches, the exit code is 3; where the kernel
lacks a part that the lab needs it is 4, and the part is named.

"all" runs every lab, a few at a time, and shows a line for each: a self-test of
this machine. The exit code is 3 if a lab was contradicted, else 4 if one could
not run here.

Each lab has defaults of its own, which keep it short; its header shows them.`,
		Example: `  kax lab run close
  kax lab run vanish --keepidle 2s --keepcnt 2
  kax lab run nat --json
  kax lab run vanish -w vanish.pcapng`,
		Args:              exactly("a lab, or all"),
		ValidArgsFunction: labNames,
		RunE:              a.run(func(cmd *cobra.Command, args []string) error { return a.labRun(cmd, f, args[0]) }),
	}
	fs := cmd.Flags()
	registerKeepalive(fs, &f.set.TCP)
	fs.Var(duration(&f.set.IdleTimeout, positive), "idle-timeout", "of the HTTP server")
	fs.Var(number(&f.set.Requests, 2), "requests", "how many requests are sent")
	fs.StringVarP(&f.write, "write", "w", "", "write the packets to a pcapng `file`, with one interface for each of a host")
	f.out.registerWhole(cmd)
	return cmd
}

func (a *app) labRun(cmd *cobra.Command, f labFlags, name string) error {
	if err := f.out.check(); err != nil {
		return err
	}
	if f.write == "-" {
		return usage(errors.New("--write: stdout has the timeline; give a file"))
	}
	if name == allLabs {
		for flag := range settingFlags() {
			if cmd.Flags().Changed(flag) {
				return usage(fmt.Errorf("--%s is for one lab", flag))
			}
		}
		for _, flag := range []string{"write", "report", "frames", "list", "only", "summary"} {
			if cmd.Flags().Changed(flag) {
				return usage(fmt.Errorf("--%s is for one lab: %s shows no timeline", flag, allLabs))
			}
		}
		return a.privately(func(s timeline.Source) error { return a.everyLab(cmd, f, s) })
	}
	l, err := findLab(name)
	if err != nil {
		return err
	}
	set, err := f.settings(cmd, l)
	if err != nil {
		return err
	}
	return a.privately(func(s timeline.Source) error { return a.oneLab(cmd, f, l, set, s) })
}

// settings are the lab's defaults, and what the flags make of them.
func (f labFlags) settings(cmd *cobra.Command, l lab.Lab) (lab.Settings, error) {
	set, changed := l.Settings, cmd.Flags().Changed
	for flag, has := range settingFlags() {
		if changed(flag) && !has(l.Settings) {
			return set, usage(fmt.Errorf("--%s: lab %s has no such setting", flag, l.Name))
		}
	}
	if changed("keepidle") {
		set.TCP.Idle = f.set.TCP.Idle
	}
	if changed("keepintvl") {
		set.TCP.Interval = f.set.TCP.Interval
	}
	if changed("keepcnt") {
		set.TCP.Count = f.set.TCP.Count
	}
	if changed("user-timeout") {
		set.TCP.UserTimeout = f.set.TCP.UserTimeout
	}
	if changed("idle-timeout") {
		set.IdleTimeout = f.set.IdleTimeout
	}
	if changed("requests") {
		set.Requests = f.set.Requests
	}
	if l.Refuses != nil {
		if err := l.Refuses(set); err != nil {
			return set, usage(fmt.Errorf("lab %s: %w", l.Name, err))
		}
	}
	return set, nil
}

// privately runs kax again in namespaces of its own, and there f.
func (a *app) privately(f func(timeline.Source) error) error {
	if a.child == nil {
		code, err := netns.Run(false)
		if errors.Is(err, netns.ErrRefused) {
			return withHint(unable(err), "a lab needs leave to make user and network namespaces, or root")
		}
		if err != nil {
			return err
		}
		return silent(code)
	}
	err := lab.Possible()
	if readyErr := a.child.Ready(err); err != nil || readyErr != nil {
		return silent(exitUnable) // the parent says why, or is gone
	}
	if a.child.UserNS {
		return f(timeline.UserNS)
	}
	return f(timeline.AFPacket)
}

func (a *app) oneLab(cmd *cobra.Command, f labFlags, l lab.Lab, set lab.Settings, source timeline.Source) error {
	if err := l.Lacks(); err != nil {
		return unable(err)
	}
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	report, err := a.openReport(f.out, f.write)
	if err != nil {
		return err
	}
	s := &sink{views: []view.View{report, f.out.view(a.stdout)}, stop: cancel}
	result, err := l.Play(ctx, lab.Env{
		Command: commandName(cmd) + " " + l.Name, Version: a.version, Source: source, Write: f.write, Frames: f.out.withFrames(), Emit: s.record,
	}, set)
	if s.err != nil {
		err = s.err
	}
	err = errors.Join(err, report.close())
	if err != nil {
		return err
	}
	return outcome(l, result)
}

// outcome says what contradicts a lab, if something does.
func outcome(l lab.Lab, r *timeline.LabResult) error {
	if r.Held {
		return nil
	}
	return coded{fmt.Errorf("lab %s is contradicted: %s", l.Name, strings.Join(r.Contradicted(), " ")), exitProblem}
}

// labsAtOnce bounds how many run beside each other: they mostly wait.
const labsAtOnce = 4

func (a *app) everyLab(cmd *cobra.Command, f labFlags, source timeline.Source) error {
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	s := &sink{views: []view.View{a.labsView(f.out.json, f.out.color)}, stop: cancel}
	s.record(a.header(commandName(cmd)+" "+allLabs, timeline.Settings{}))
	var (
		mu    sync.Mutex
		all   sync.WaitGroup
		tally labTally
		asks  sync.Mutex
	)
	// One at a time: to ask makes the kernel load modules, and one that is just
	// being loaded for another lab seems to be missing.
	lacks := func(l lab.Lab) error {
		asks.Lock()
		defer asks.Unlock()
		return l.Lacks()
	}
	turn := make(chan struct{}, labsAtOnce)
	for _, l := range lab.Labs() {
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			if ctx.Err() != nil {
				return
			}
			r := notRun(lacks(l))
			if r == nil {
				r = a.labResult(ctx, l, source)
			}
			if ctx.Err() != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			tally.add(l, r)
			s.record(timeline.Record{Lab: l.Record(r)})
		})
	}
	all.Wait()
	switch {
	case s.err != nil:
		return s.err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return tally.outcome()
}

// A labTally is what has become of all labs, by their names.
type labTally struct{ contradicted, failed, unable []string }

func (t *labTally) add(l lab.Lab, r *timeline.LabResult) {
	switch {
	case r.Unable:
		t.unable = append(t.unable, l.Name)
	case r.Error != "":
		t.failed = append(t.failed, l.Name)
	case !r.Held:
		t.contradicted = append(t.contradicted, l.Name)
	}
}

// outcome is the worst of it.
func (t *labTally) outcome() error {
	switch {
	case len(t.contradicted) > 0:
		return coded{fmt.Errorf("contradicted: %s", strings.Join(t.contradicted, ", ")), exitProblem}
	case len(t.failed) > 0:
		return fmt.Errorf("failed: %s", strings.Join(t.failed, ", "))
	case len(t.unable) > 0:
		return unable(fmt.Errorf("cannot run here: %s", strings.Join(t.unable, ", ")))
	}
	return nil
}

// labResult is what a lab has shown, or why it could not.
func (a *app) labResult(ctx context.Context, l lab.Lab, source timeline.Source) *timeline.LabResult {
	r, err := l.Play(ctx, lab.Env{
		Command: "lab run " + l.Name, Version: a.version, Source: source, Emit: func(timeline.Record) {},
	}, l.Settings)
	if err != nil {
		return notRun(err)
	}
	return r
}

// notRun is of a lab that has shown nothing, and nil of one without an error.
func notRun(err error) *timeline.LabResult {
	if err == nil {
		return nil
	}
	return &timeline.LabResult{Checks: []timeline.Check{}, Error: err.Error(), Unable: errors.Is(err, errors.ErrUnsupported)}
}
