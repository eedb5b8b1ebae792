package cli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"kax/internal/timeline"
	"kax/internal/view"
	"kax/tcpka"
)

// tcpFlags are TCP keepalive's settings. They mean the same on every command.
type tcpFlags struct {
	set tcpka.Settings
	on  bool
	off bool
}

func (f *tcpFlags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.BoolVar(&f.on, "keepalive", f.set.Enabled, "turn TCP keepalive on (SO_KEEPALIVE)")
	fs.BoolVar(&f.off, "no-keepalive", false, "turn TCP keepalive off")
	registerKeepalive(fs, &f.set)
}

// registerKeepalive adds the times and the count.
func registerKeepalive(fs *pflag.FlagSet, s *tcpka.Settings) {
	fs.Var(duration(&s.Idle, inRange("keepidle")), "keepidle", "quiet time before the first probe (TCP_KEEPIDLE)")
	fs.Var(duration(&s.Interval, inRange("keepintvl")), "keepintvl", "time between unanswered probes (TCP_KEEPINTVL)")
	fs.Var(probes(&s.Count), "keepcnt", "unanswered probes before giving up (TCP_KEEPCNT)")
	fs.Var(duration(&s.UserTimeout, tcpka.CheckUserTimeout), "user-timeout", "give up by time, not by the count (TCP_USER_TIMEOUT)")
}

func inRange(field string) func(time.Duration) error {
	return func(d time.Duration) error { return tcpka.CheckTime(field, d) }
}

// settings returns what the flags ask for; giving one of the values turns
// keepalive on.
func (f *tcpFlags) settings(cmd *cobra.Command) (tcpka.Settings, error) {
	changed := cmd.Flags().Changed
	if f.off && changed("keepalive") {
		return tcpka.Settings{}, contradiction("no-keepalive", "keepalive")
	}
	off := f.off || changed("keepalive") && !f.on // --keepalive=false
	s := f.set
	s.Enabled = f.on
	for _, name := range []string{"keepidle", "keepintvl", "keepcnt", "user-timeout"} {
		if !changed(name) {
			continue
		}
		if off {
			return tcpka.Settings{}, contradiction("no-keepalive", name)
		}
		s.Enabled = true
	}
	if off {
		return tcpka.Settings{}, nil
	}
	return s, nil
}

func contradiction(a, b string) error {
	return usage(fmt.Errorf("--%s and --%s: give one of them", a, b))
}

// outputFlags say how a timeline is shown.
type outputFlags struct {
	json    bool
	list    bool
	summary bool
	frames  bool
	report  string
	only    []string
	color   string
	stop    time.Duration
	tcpOnly bool // the command has nothing to say of HTTP
}

func (f *outputFlags) register(cmd *cobra.Command) {
	f.registerWhole(cmd)
	cmd.Flags().Var(duration(&f.stop, positive), "for", "stop after this time")
}

// registerWhole is register for what is of no use before its end.
func (f *outputFlags) registerWhole(cmd *cobra.Command) {
	fs := cmd.Flags()
	registerShown(cmd, &f.json, &f.color)
	fs.BoolVar(&f.list, "list", false, "show a plain packet list instead of lanes")
	fs.BoolVar(&f.summary, "summary", false, "show the summary only")
	fs.Var(listOf(&f.only, "kind,...", f.kinds()), "only", "only events of these kinds, as in probe,probe-answer")
	fs.StringVar(&f.report, "report", "", "write the whole timeline, with pictures, to an HTML `file`")
	fs.BoolVar(&f.frames, "frames", false, "records bear the bytes of their packets; --report turns it on")
}

// kinds are those of events that the command can show.
func (f *outputFlags) kinds() []string {
	if f.tcpOnly {
		return timeline.TCPKinds()
	}
	return timeline.Kinds()
}

// registerShown adds what every command with records has: how they are shown.
func registerShown(cmd *cobra.Command, json *bool, color *string) {
	*color = "auto"
	fs := cmd.Flags()
	fs.BoolVar(json, "json", false, "write records as lines of JSON (docs/reference/records.md)")
	fs.Var(oneOf(color, "auto", "always", "never"), "color", "colour; auto is on a terminal without NO_COLOR")
}

// check refuses combinations without a meaning.
func (f *outputFlags) check() error {
	if f.json && f.list {
		return contradiction("json", "list")
	}
	if f.report == "-" {
		return usage(errors.New("--report: stdout has the timeline; give a file"))
	}
	return nil
}

// view returns the view that the flags ask for.
func (f *outputFlags) view(out *os.File) view.View { return f.viewTo(out, out) }

// viewTo is the view that writes to w what ends up at out.
func (f *outputFlags) viewTo(w io.Writer, out *os.File) view.View {
	o := view.Options{Only: f.only, Summary: f.summary, TCPOnly: f.tcpOnly, Width: width(out), Color: colored(f.color, out)}
	switch {
	case f.json:
		return view.NewJSON(w, o)
	case f.list:
		return view.NewList(w, o)
	}
	return view.NewLanes(w, o)
}

func colored(when string, out *os.File) bool {
	if when != "auto" {
		return when == "always"
	}
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(out.Fd()))
}

// width is the terminal's, or what COLUMNS says, or 80.
func width(out *os.File) int {
	if w, _, err := term.GetSize(int(out.Fd())); err == nil && w > 0 {
		return w
	}
	if w, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && w > 0 {
		return w
	}
	return 80
}

// packetFlags say where packets come from and go to.
type packetFlags struct {
	host    bool // the run needs the host's network: it talks to others
	listens bool // with host: the others come to it
	without bool // the run has something to say where there are neither packets nor counters
	source  string
	netns   bool   // not with host
	on      string // with host: the interface
	packets string // another program's output
	write   string
	tcpdump bool
}

const sourceAuto = "auto"

func (f *packetFlags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	f.source = sourceAuto
	sources := []string{sourceAuto, string(timeline.AFPacket)}
	fs.StringVar(&f.packets, "packets", "", "another program's packets: a `file`, or - for stdin")
	if f.host {
		fs.StringVarP(&f.on, "interface", "i", "", "capture on this `interface` only")
	} else {
		sources = append(sources, string(timeline.UserNS))
		fs.BoolVar(&f.netns, "netns", false, "run in a network namespace of its own")
	}
	fs.Var(oneOf(&f.source, append(sources, string(timeline.Counters))...),
		"source", "where packets come from; auto is the best permitted")
	fs.StringVarP(&f.write, "write", "w", "", "write the packets to a pcapng `file`")
	fs.BoolVar(&f.tcpdump, "tcpdump", false, "print the tcpdump command for the same packets")
}

// check refuses combinations that cannot be had anywhere.
func (f *packetFlags) check() error {
	counters := f.source == string(timeline.Counters)
	switch {
	case f.write == "-":
		return usage(errors.New("--write: stdout has the timeline; give a file"))
	case f.write != "" && counters:
		return usage(errors.New("--write needs packets, and --source counters has none"))
	case f.netns && counters:
		return usage(errors.New("--netns is for seeing packets, and --source counters has none"))
	case f.packets != "" && f.source != sourceAuto:
		return contradiction("packets", "source")
	case f.packets != "" && f.on != "":
		return contradiction("packets", "interface")
	case f.packets != "" && f.netns:
		return contradiction("packets", "netns")
	case f.on != "" && counters:
		return contradiction("interface", "source counters")
	}
	return nil
}

// interfaceThere refuses an interface that this machine does not have.
func (f *packetFlags) interfaceThere() error {
	if f.on == "" {
		return nil
	}
	if _, err := net.InterfaceByName(f.on); err != nil {
		return withHint(fmt.Errorf("--interface %s: no such interface", f.on), "this machine has %s", strings.Join(interfaceNames(), ", "))
	}
	return nil
}

func interfaceNames() []string {
	all, _ := net.Interfaces()
	var names []string
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names
}

// withFrames reports whether records are to bear bytes.
func (f *outputFlags) withFrames() bool { return f.frames || f.report != "" }

// withEvents reports whether anybody wants to know of events.
func (f *outputFlags) withEvents() bool { return !f.summary || f.report != "" }

// sink keeps the first error of its views, and asks the run to stop. The others
// still get what comes.
type sink struct {
	views []view.View
	stop  func(error)
	err   error
}

func (s *sink) record(r timeline.Record) {
	for i, v := range s.views {
		if v == nil {
			continue
		}
		if err := v.Record(r); err != nil {
			s.views[i] = nil
			if s.err == nil {
				s.err = err
				s.stop(err)
			}
		}
	}
}
