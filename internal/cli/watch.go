package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kax/internal/capture"
	"kax/internal/observe"
	"kax/internal/timeline"
	"kax/internal/view"
)

type watchFlags struct {
	out     outputFlags
	filter  capture.Filter
	ends    endsFlags
	count   int
	conn    int
	write   string
	tcpdump bool
}

func (a *app) watchCmd() *cobra.Command {
	var f watchFlags
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "live: the timeline of every matching connection of this machine",
		Long: `Shows the connections of this machine as kax demo shows its own, live: TCP with
its keepalive probes on the left, HTTP/1 requests on the right. Runs until ^C,
--for or -c; then it sums up. Packets take CAP_NET_RAW, which a static binary
(CGO_ENABLED=0) gives up once the capture has begun; or a tcpdump captures, and
kax read shows it:

  sudo tcpdump -U -w - tcp port 80 | kax read -

With several --host and --port a connection matches if one end has one of the
hosts, and one end one of the ports. On all interfaces at once (without -i) a
packet that passes several of them, as a bridge and what is behind it, is shown
once: each direction of a connection is taken from the interface where it was
seen first. One interface (-i) is watched in promiscuous mode, as tcpdump does.

Without -w packets are cut to 3.5 KiB, which is enough for headers and nearly
all HTTP heads. An SSH connection that kax is used over is left out.`,
		Example: `  kax watch --for 1s
  kax watch -i lo --port 80 --port 8080 --for 1s
  kax watch --host 127.0.0.1 --list -c 20 --for 1s
  kax watch --only probe,probe-answer --for 1s
  kax watch -w watched.pcapng --summary --for 1s
  kax watch --port 80 --tcpdump`,
		Args: noExpression,
		RunE: a.run(func(cmd *cobra.Command, _ []string) error { return a.watch(cmd, f) }),
	}
	fs := cmd.Flags()
	fs.StringVarP(&f.filter.Interface, "interface", "i", "", "watch this `interface` only")
	f.ends.register(cmd)
	fs.VarP(number(&f.count, 1), "count", "c", "stop after so many packets")
	fs.Var(number(&f.conn, 1), "conn", "only the connection with this number")
	fs.StringVarP(&f.write, "write", "w", "", "write the packets to a pcapng `file`")
	fs.BoolVar(&f.tcpdump, "tcpdump", false, "print the tcpdump command for the same packets")
	f.out.register(cmd)
	return cmd
}

// noExpression refuses what tcpdump would take for a filter, and says how it is
// said here.
func noExpression(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("kax watch: unexpected argument %q", args[0])
	if flags := asFlags(strings.Join(args, " ")); flags != "" {
		return withHint(err, "filters are flags here: kax watch%s", flags)
	}
	return withHint(err, "filters are flags here, --host and --port; tcpdump takes expressions: sudo tcpdump -U -w - '…' | kax read -")
}

// asFlags are the flags for an expression of hosts and ports, or nothing where
// they do not say the same: ports of which a connection has one, and hosts
// likewise.
func asFlags(expression string) (flags string) {
	expression = strings.TrimPrefix(expression, "tcp and ")
	if rest, ok := strings.CutPrefix(expression, "tcp "); ok {
		expression = rest
	}
	var kinds []string
	for i, group := range strings.Split(expression, " and ") {
		inner, bracketed := strings.CutPrefix(group, "(")
		if bracketed {
			group = strings.TrimSuffix(inner, ")")
		}
		for j, part := range strings.Split(group, " or ") {
			words := strings.Fields(part)
			switch {
			case len(words) != 2 || words[0] != "port" && words[0] != "host":
				return ""
			case j == 0 && slices.Contains(kinds, words[0]), j > 0 && words[0] != kinds[i]:
				return ""
			case j > 0 && i > 0 && !bracketed: // "and" binds no closer than "or" (pcap-filter(7))
				return ""
			case j == 0:
				kinds = append(kinds, words[0])
			}
			flags += " --" + words[0] + " " + words[1]
		}
	}
	return flags
}

func (a *app) watch(cmd *cobra.Command, f watchFlags) error {
	if err := f.out.check(); err != nil {
		return err
	}
	if f.write == "-" {
		return usage(errors.New("--write: stdout has the timeline; give a file"))
	}
	if err := f.ends.complete(cmd.Context(), &f.filter); err != nil {
		return err
	}
	if own := ownSSH(); len(own) > 0 && f.filter.Match(own[0], own[1]) {
		f.filter.Exclude = own
		fmt.Fprintf(a.stderr, "kax: this terminal's own SSH connection, %v to %v, is left out\n", own[0], own[1])
	}
	if f.tcpdump {
		return a.printTcpdump(f.filter.Interface, expression(f.filter))
	}
	if err := (&packetFlags{on: f.filter.Interface}).interfaceThere(); err != nil {
		return err
	}
	if f.write != "" && f.write == f.out.report {
		return contradiction("write", "report")
	}
	live, err := capture.OpenLive()
	if errors.Is(err, errors.ErrUnsupported) {
		return withHint(unable(err), "tcpdump -U -w - … | kax read - shows what another program captures")
	}
	if err != nil {
		return withHint(unable(err), "this takes CAP_NET_RAW: sudo kax watch …; or, for good, sudo setcap cap_net_raw+ep \"$(command -v kax)\"; or sudo tcpdump -U -w - … | kax read -")
	}
	defer live.Close()
	f.filter.Snap = capture.SnapHeads
	if f.write != "" {
		f.filter.Snap = capture.SnapWhole
	}
	switch err := live.Start(f.filter); {
	case errors.Is(err, capture.ErrFilter):
		return withHint(err, "tcpdump takes whole networks: sudo tcpdump -U -w - net 192.0.2.0/24 | kax read -")
	case err != nil:
		return err
	}
	w := watching{live: live, count: f.count}
	if f.write != "" {
		if w.file, err = capture.Create(f.write, "kax "+a.version, interfaceName); err != nil {
			return err
		}
	}
	if w.report, err = a.openReport(f.out, f.write); err != nil {
		return errors.Join(err, w.closeFile())
	}
	switch err := capture.GiveUpPrivileges(); {
	case errors.Is(err, errors.ErrUnsupported):
		fmt.Fprintln(a.stderr, "kax: this binary is linked with C and keeps its privileges; one that was built with CGO_ENABLED=0 gives them up")
	case err != nil:
		return errors.Join(err, w.closeFile(), w.report.close())
	}
	on := "every interface"
	if f.filter.Interface != "" {
		on = f.filter.Interface
	}
	fmt.Fprintf(a.stderr, "kax: watching %s; ^C ends it\n", on)
	return w.show(cmd.Context(), a, cmd, f)
}

func interfaceName(index int) string {
	if i, err := net.InterfaceByIndex(index); err == nil {
		return i.Name
	}
	return ""
}

// watching is one run of kax watch.
type watching struct {
	live   *capture.Live
	file   *capture.Writer // or nil
	report *report
	count  int
}

func (w *watching) closeFile() error {
	if w.file == nil {
		return nil
	}
	return w.file.Close()
}

// Times of a watch: how long it waits for a packet before it looks whether it is
// to end, and how often a file is made complete for those who read it meanwhile.
const (
	watchWait  = 50 * time.Millisecond
	flushEvery = 200 * time.Millisecond
)

// show makes the timeline until ctx ends, or enough has been seen.
func (w *watching) show(ctx context.Context, a *app, cmd *cobra.Command, f watchFlags) error {
	if f.out.stop > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, f.out.stop)
		defer stop()
	}
	out := newSlowOutput(a.stdout, func(to io.Writer) view.View {
		return view.OnlyConn(f.out.viewTo(to, a.stdout), f.conn)
	})
	on := f.filter.Interface
	if on == "" {
		on = "all"
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &sink{views: []view.View{view.OnlyConn(w.report, f.conn)}, stop: cancel}
	o := observe.Observer{
		Header: timeline.Header{
			Version: a.version, Command: commandName(cmd), Source: timeline.AFPacket,
			Settings: timeline.Settings{Interface: on},
		},
		Observing: timeline.Observing{NoEvents: !f.out.withEvents()}, Frames: f.out.withFrames(),
		Match: f.filter.Match, Live: true, Once: f.filter.Interface == "",
		Emit: func(r timeline.Record) {
			s.record(r)
			out.record(r)
		},
	}
	err := w.feed(ctx, &o, out.failed)
	dropped, dropErr := w.live.Dropped()
	o.Finish(dropped)
	if s.err != nil {
		err = s.err
	}
	err = errors.Join(err, dropErr, out.end(), w.closeFile(), w.report.close())
	if errors.Is(err, errInterrupted) {
		return nil // it runs until ^C
	}
	return err
}

// feed gives the observer every packet, and never waits for the output.
func (w *watching) feed(ctx context.Context, o *observe.Observer, failed <-chan struct{}) error {
	flushed, end := time.Now(), time.Time{}
	var (
		p   capture.Packet // one for all: the observer's pointer would have each allocated
		ok  bool
		err error
	)
	for n := 0; w.count == 0 || o.Packets() < w.count; n++ {
		wait := watchWait
		if !end.IsZero() {
			wait = 4 * capture.Latency
		}
		if p, ok, err = w.live.Next(wait); err != nil {
			return err
		}
		if !end.IsZero() && (!ok || p.Time.After(end)) {
			return stopped(ctx)
		}
		if ok && o.Packet(&p) && w.file != nil {
			if err := w.file.Write(p); err != nil {
				return err
			}
		}
		if ok && n%256 != 0 { // a look at the clock for each packet would cost as much as it
			continue
		}
		select {
		case <-failed:
			return nil // the output says why
		default:
		}
		if ctx.Err() != nil && end.IsZero() {
			end = time.Now() // what passed before is still to come
		}
		if w.file != nil && time.Since(flushed) > flushEvery {
			if err := w.file.Flush(); err != nil {
				return err
			}
			flushed = time.Now()
		}
	}
	return nil
}
