package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kax/internal/sockets"
	"kax/internal/timeline"
	"kax/internal/times"
	"kax/internal/view"
	"kax/tcpka"
)

type socketsFlags struct {
	json      bool
	color     string
	query     sockets.Query
	keepalive string // on, off, unknown or any
	sort      string
	refresh   time.Duration
	cutBy     time.Duration
	loopback  bool
	strict    bool
	leftOut   int // loopback connections, with cutBy
}

const anyKeepalive = "any"

func (a *app) socketsCmd() *cobra.Command {
	f := socketsFlags{keepalive: anyKeepalive, sort: sockets.SortKeys()[0], query: sockets.Query{Settings: true}}
	cmd := &cobra.Command{
		Use:   "sockets",
		Short: "this machine's TCP sockets: owner, keepalive settings, timer",
		Long: `Lists the TCP sockets of this machine, from the kernel (sock_diag(7)):

  process       who has it open: name, process number and descriptor
  keepalive     the socket's own settings: idle time, interval and count. "?1"
                is what cannot be read, and why stands below the table: another
                user's sockets take root. "on ?1" is known by the timer alone.
  timer         what the kernel waits for, and what is left of it. The timers of
                retransmissions and of zero-window probes hide keepalive's.
  probes        unanswered ones, where there are any
  data, ack     time since data went either way, and since an acknowledgment
                came in
  timeout       the user timeout, where there is one

A column that would be empty is left out; on a narrow terminal each socket takes
several lines.

With --cut-by only established connections are listed that a middlebox with that
idle timeout would cut silently: keepalive is off, or the first probe may go too
late. What the kernel is sending on is listed apart: it is not idle. Exit code 3
says that there are any that would be cut.`,
		Example: `  kax tcp sockets
  kax tcp sockets --state established --with-keepalive off --sort idle
  kax tcp sockets --port 443 --json
  kax tcp sockets --cut-by 350s`,
		Args: atMost(0),
		RunE: a.run(func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			return a.sockets(cmd.Context(), f)
		}),
	}
	fs := cmd.Flags()
	fs.Var(number(&f.query.PID, 1), "pid", "what this `process` has open, in its network namespace")
	fs.Var(port(&f.query.Port), "port", "only with this local or peer's port")
	fs.Var(states(&f.query.States), "state", "only in these, as in established,close-wait")
	fs.Var(oneOf(&f.keepalive, anyKeepalive, "on", "off", "unknown"), "with-keepalive", "only with `keepalive` on, off or unknown")
	fs.Var(duration(&f.query.IdleOver, positive), "idle-over", "without data, either way, for longer than this")
	fs.Var(oneOf(&f.sort, sockets.SortKeys()...), "sort", "by `key`: "+strings.Join(sockets.SortKeys(), ", "))
	fs.Var(duration(&f.refresh, positive), "refresh", "list again and again, until ^C")
	fs.Var(duration(&f.cutBy, positive), "cut-by", "what a middlebox with this idle timeout would cut")
	fs.BoolVar(&f.loopback, "loopback", false, "--cut-by: connections within this machine too")
	fs.BoolVar(&f.strict, "strict", false, "--cut-by: what could not be read is a problem too")
	registerShown(cmd, &f.json, &f.color)
	completeFlag(cmd, "pid", completePID)
	completeFlag(cmd, "state", completeStates)
	completeFlag(cmd, "sort", fixed(sockets.SortKeys()))
	completeFlag(cmd, "with-keepalive", fixed([]string{"on", "off", "unknown"}))
	return cmd
}

// check refuses combinations without a meaning.
func (f *socketsFlags) check(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	if f.cutBy == 0 {
		for _, name := range []string{"loopback", "strict"} {
			if changed(name) {
				return usage(fmt.Errorf("--%s is for --cut-by", name))
			}
		}
		return nil
	}
	for _, name := range []string{"state", "with-keepalive", "refresh"} {
		if changed(name) {
			return contradiction("cut-by", name)
		}
	}
	f.query.States = 1 << sockets.Established
	return nil
}

func (a *app) sockets(ctx context.Context, f socketsFlags) error {
	header := a.header("tcp sockets", timeline.Settings{CutBy: timeline.Seconds(f.cutBy)})
	out := bufio.NewWriterSize(a.stdout, 64<<10)
	lines := view.NewJSON(out, view.Options{}) // one of them, for one header
	redraw := f.refresh > 0 && !f.json && term.IsTerminal(int(a.stdout.Fd()))
	if redraw { // ECMA-48: clear it all, once
		fmt.Fprintf(out, "\x1b[2J")
		defer fmt.Fprintln(a.stdout)
	}
	for first := true; ; first = false {
		list, err := f.list(a)
		if err != nil {
			return err
		}
		header.Header.Settings.LoopbackLeftOut = f.leftOut
		v := table(endless{lines})
		if !f.json {
			if !first && !redraw {
				fmt.Fprintln(out)
			}
			v = f.view(a, out, redraw)
		}
		if first || !f.json {
			if err := v.Record(header); err != nil {
				return err
			}
		}
		problem, err := f.show(list, v)
		if err != nil {
			return err
		}
		if err := v.End(); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
		switch {
		case problem:
			return silent(exitProblem)
		case f.refresh == 0:
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(f.refresh):
		}
	}
}

// table is a view whose end is told.
type table interface {
	view.View
	End() error
}

// endless is a view with nothing to write at the end.
type endless struct{ *view.JSON }

func (endless) End() error { return nil }

func (f *socketsFlags) view(a *app, out *bufio.Writer, redraw bool) table {
	tty := term.IsTerminal(int(a.stdout.Fd()))
	o := view.Options{Width: width(a.stdout), Uncut: !tty, Color: colored(f.color, a.stdout)}
	if redraw {
		if _, height, err := term.GetSize(int(a.stdout.Fd())); err == nil {
			o.Height = height
		}
	}
	if f.cutBy > 0 {
		return view.NewCut(out, o)
	}
	return view.NewSockets(out, o)
}

// list reads the table, and tells on stderr what cannot be told by a row of it.
func (f *socketsFlags) list(a *app) ([]*sockets.Socket, error) {
	t, err := sockets.List(f.query)
	if err != nil {
		return nil, listHint(err)
	}
	if t.Changed {
		fmt.Fprintln(a.stderr, "kax: the kernel's list changed while it was read: a socket may be missing, or be there twice")
	}
	if pid := f.query.PID; pid != 0 && len(t.Sockets) == 0 && f.query == (sockets.Query{PID: pid, Settings: true}) {
		fmt.Fprintf(a.stderr, "kax: process %d: none of its %s is a TCP socket\n", pid, timeline.Count(t.Descriptors, "descriptor"))
	}
	if f.keepalive != anyKeepalive {
		t.Sockets = slices.DeleteFunc(t.Sockets, func(s *sockets.Socket) bool {
			on, known := s.Keepalive()
			is := map[bool]string{true: "on", false: "off"}[on]
			switch {
			case s.Unread == sockets.Ownerless:
				return true // there is nothing to be known
			case !known:
				is = "unknown"
			}
			return is != f.keepalive
		})
	}
	if all := len(t.Sockets); f.cutBy > 0 && !f.loopback {
		t.Sockets = slices.DeleteFunc(t.Sockets, func(s *sockets.Socket) bool { return s.Loopback() })
		f.leftOut = all - len(t.Sockets)
	}
	sockets.Sort(t.Sockets, f.sort)
	return t.Sockets, nil
}

// listHint says what would permit it.
func listHint(err error) error {
	switch {
	case !errors.Is(err, os.ErrPermission):
	case os.Geteuid() == 0:
		return withHint(err, "this root lacks CAP_SYS_PTRACE or CAP_SYS_ADMIN, as in a container; root of the host may")
	default:
		return withHint(err, "root may, with CAP_SYS_PTRACE and CAP_SYS_ADMIN")
	}
	return err
}

// show hands the sockets to a view, and reports whether there is a problem.
func (f *socketsFlags) show(list []*sockets.Socket, v view.View) (problem bool, err error) {
	var r socketRecord
	if f.cutBy == 0 {
		for _, s := range list {
			if err := v.Record(r.fill(s)); err != nil {
				return false, err
			}
		}
		return false, nil
	}
	hz, err := tcpka.HZ()
	if err != nil {
		return false, err
	}
	for _, s := range list {
		rec := r.fill(s)
		why, fix := "", ""
		if s.Read() {
			if why, fix = cut(s, f.cutBy, hz); why == "" {
				continue
			}
		}
		if busy := busy(s); busy != "" {
			rec.Socket.Busy = busy
		} else {
			rec.Socket.Cut = why
			if fix != "" {
				rec.Socket.Fix = fmt.Sprintf("kax tcp set --pid %d --fd %d %s", s.Owner.PID, s.Owner.FD, fix)
			}
			problem = problem || s.Read() || f.strict
		}
		if err := v.Record(rec); err != nil {
			return problem, err
		}
	}
	return problem, nil
}

// busy says what the kernel is sending on a connection, without which it would
// be idle.
func busy(s *sockets.Socket) string {
	switch s.Timer {
	case sockets.RetransmitTimer:
		return "data is in flight, and is sent again until it is acknowledged"
	case sockets.WindowProbeTimer:
		return "the peer's window is closed, and is probed until it opens"
	}
	return ""
}

// cut says why a middlebox that forgets connections after limit would forget one
// with these settings, and which flags would keep it.
func cut(socket *sockets.Socket, limit time.Duration, hz int) (why, fix string) {
	s := socket.Settings
	plan, err := tcpka.NewPlan(s, hz)
	switch {
	case !s.Enabled:
		why = "keepalive off"
	case err != nil:
		why = err.Error() // a value out of the range that any kernel takes
	case plan.First().Latest >= limit:
		why = "first probe after up to " + times.Clock(plan.First().Latest)
	case plan.Silence() >= limit:
		why = "probes up to " + times.Clock(plan.Silence()) + " apart"
	case socket.Timer == sockets.KeepaliveTimer && socket.Ack != sockets.Never && socket.Ack+socket.Expires >= limit:
		// It was set before the settings changed: a sysctl moves no timer, and
		// turning keepalive on starts a full idle time.
		why = "its timer still has " + times.Clock(socket.Expires) + " to go"
	default:
		return "", ""
	}
	longest, ok := tcpka.IdleBelow(limit, hz)
	if !ok {
		return why + "; no keepalive time is short enough for that timeout", ""
	}
	fix = fmt.Sprintf("--keepidle %d", min(longest, s.Idle)/time.Second)
	if s.Interval > longest {
		fix += fmt.Sprintf(" --keepintvl %d", longest/time.Second)
	}
	return why, fix
}

// states is a list of TCP states.
func states(p *sockets.States) value {
	text := ""
	return value{
		kind: "state,...",
		get:  func() string { return text },
		set: func(s string) (err error) {
			text = s
			*p, err = sockets.ParseStates(s)
			return err
		},
	}
}
