package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"kax/internal/capture"
	"kax/internal/lab"
	"kax/internal/timeline"
	"kax/internal/times"
	"kax/internal/web"
	"kax/tcpka"
)

// A menu is what the page offers. Its settings are flags of the commands that it
// runs, by the same names and with the same checks.
type menu struct {
	hz         int
	interfaces []string
	noWatch    string // why nothing may be watched
}

func (a *app) newMenu() (*menu, error) {
	hz, err := a.hz()
	if err != nil {
		return nil, err
	}
	m := &menu{hz: hz, interfaces: append([]string{everywhere}, interfaceNames()...)}
	live, err := capture.OpenLive()
	if err != nil {
		m.noWatch = err.Error()
		return m, nil
	}
	return m, live.Close()
}

// everywhere stands for all interfaces.
const everywhere = "all"

// Names of what is no lab.
const (
	runDemo  = "demo"
	runWatch = "watch"
	labGroup = "lab "
)

func (m *menu) experiments() []web.Experiment {
	d := lab.DefaultDemo()
	demo, _ := lab.Find("demo")
	out := []web.Experiment{{
		Name: runDemo, Title: "demo: three acts", Group: "Start here", Question: demo.Question, Topology: "client and server on one host, over loopback",
		Settings: append(tcpSettings(d.Client, "keepalive"), idleTimeout(d.IdleTimeout),
			web.Setting{Name: "pause", Label: "client's pauses", Kind: "durations", Value: durations(&d.Pauses).String()},
			web.Setting{Name: "reuse", Label: "client reuses connections", Kind: "switch", Value: "true"}),
	}}
	out[0].Settings = slices.Insert(out[0].Settings, 0, web.Setting{Name: "keepalive", Label: "TCP keepalive", Kind: "switch", Value: "true"})
	for _, l := range lab.Labs() {
		e := web.Experiment{Name: labGroup + l.Name, Title: l.Name, Group: "Labs", Question: l.Question, Topology: l.Topology, Settings: []web.Setting{}}
		if l.Settings.TCP.Enabled {
			e.Settings = tcpSettings(l.Settings.TCP, "")
		}
		if l.Settings.IdleTimeout > 0 {
			e.Settings = append(e.Settings, idleTimeout(l.Settings.IdleTimeout))
		}
		if l.Settings.Requests > 0 {
			e.Settings = append(e.Settings, web.Setting{Name: "requests", Label: "requests", Kind: "number", Value: strconv.Itoa(l.Settings.Requests)})
		}
		out = append(out, e)
	}
	return append(out, web.Experiment{
		Name: runWatch, Title: "watch an interface", Group: "Live", Question: "what do the connections of this machine do?", Unable: m.noWatch, Live: true,
		Settings: []web.Setting{
			{Name: "interface", Label: "interface", Kind: "choice", Value: everywhere, Choices: m.interfaces},
			{Name: "port", Label: "only port", Kind: "number"},
		},
	})
}

func tcpSettings(s tcpka.Settings, needs string) []web.Setting {
	clock := func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return times.Clock(d)
	}
	return []web.Setting{
		{Name: "keepidle", Label: "idle time", Kind: "duration", Value: clock(s.Idle), Needs: needs},
		{Name: "keepintvl", Label: "interval", Kind: "duration", Value: clock(s.Interval), Needs: needs},
		{Name: "keepcnt", Label: "count of probes", Kind: "number", Value: strconv.Itoa(s.Count), Needs: needs},
		{Name: "user-timeout", Label: "user timeout", Kind: "duration", Value: clock(s.UserTimeout), Needs: needs},
	}
}

func idleTimeout(d time.Duration) web.Setting {
	return web.Setting{Name: "idle-timeout", Label: "server's idle timeout", Kind: "duration", Value: times.Clock(d)}
}

// chosen are the settings of an experiment, as a page has chosen them.
type chosen struct {
	experiment web.Experiment
	tcp        tcpka.Settings
	lab        lab.Lab
	idle       time.Duration
	pauses     []time.Duration
	requests   int
	on, reuse  bool
	iface      string
	port       uint16
	flags      *pflag.FlagSet
}

// choose reads what a page asks for. Only settings that the experiment has are
// taken, and only in the form that their flags demand.
func (m *menu) choose(a web.Ask) (*chosen, error) {
	all := m.experiments()
	i := slices.IndexFunc(all, func(e web.Experiment) bool { return e.Name == a.Experiment })
	if i < 0 {
		return nil, fmt.Errorf("%q: no such experiment", a.Experiment)
	}
	c := &chosen{experiment: all[i], on: true, reuse: true, iface: everywhere, flags: pflag.NewFlagSet("", pflag.ContinueOnError)}
	switch {
	case c.experiment.Group == "Labs":
		c.lab, _ = lab.Find(c.experiment.Title)
		c.tcp, c.idle, c.requests = c.lab.Settings.TCP, c.lab.Settings.IdleTimeout, c.lab.Settings.Requests
	case c.experiment.Name == runDemo:
		d := lab.DefaultDemo()
		c.tcp, c.idle, c.pauses = d.Client, d.IdleTimeout, d.Pauses
	case c.experiment.Unable != "":
		return nil, errors.New(c.experiment.Unable)
	}
	registerKeepalive(c.flags, &c.tcp)
	c.flags.Var(duration(&c.idle, positive), "idle-timeout", "")
	c.flags.Var(durations(&c.pauses), "pause", "")
	c.flags.Var(number(&c.requests, 2), "requests", "")
	c.flags.BoolVar(&c.on, "keepalive", c.on, "")
	c.flags.BoolVar(&c.reuse, "reuse", c.reuse, "")
	c.flags.Var(oneOf(&c.iface, m.interfaces...), "interface", "")
	c.flags.Var(port(&c.port), "port", "")
	for name, value := range a.Settings {
		i := slices.IndexFunc(c.experiment.Settings, func(s web.Setting) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("%s: %s has no such setting", name, a.Experiment)
		}
		if value == "" {
			continue // its default
		}
		if err := c.flags.Lookup(name).Value.Set(value); err != nil {
			return nil, fmt.Errorf("%s: %w", c.experiment.Settings[i].Label, err)
		}
		c.flags.Lookup(name).Changed = true
	}
	if c.tcp.Enabled = c.tcp.Enabled && c.on; c.lab.Refuses != nil {
		return c, c.lab.Refuses(lab.Settings{TCP: c.tcp, IdleTimeout: c.idle, Requests: c.requests})
	}
	return c, nil
}

// args is the command line for what a page asks for.
func (m *menu) args(a web.Ask, write string) ([]string, error) {
	c, err := m.choose(a)
	if err != nil {
		return nil, err
	}
	var args []string
	switch {
	case c.lab.Name != "":
		args = []string{"lab", "run", c.lab.Name}
	case a.Experiment == runDemo:
		args = []string{"demo", "--listen=127.0.0.1:0"}
	default:
		args = []string{"watch"}
	}
	args = append(args, "--json", "--frames")
	if write != "" {
		args = append(args, "--write="+write)
	}
	for _, s := range c.experiment.Settings {
		f := c.flags.Lookup(s.Name)
		switch {
		case !f.Changed || s.Needs == "keepalive" && !c.on:
		case s.Name == "keepalive" && !c.on:
			args = append(args, "--no-keepalive")
		case s.Name == "keepalive" || s.Name == "reuse" && c.reuse || s.Name == "interface" && c.iface == everywhere:
		case s.Name == "reuse":
			args = append(args, "--no-reuse")
		default:
			args = append(args, "--"+s.Name+"="+f.Value.String())
		}
	}
	return args, nil
}

// predict says what the settings lead to.
func (m *menu) predict(a web.Ask) (*web.Prediction, error) {
	c, err := m.choose(a)
	if err != nil {
		return nil, err
	}
	p := &web.Prediction{IdleTimeout: timeline.Seconds(c.idle), Pauses: []timeline.Seconds{}}
	for _, d := range c.pauses {
		p.Pauses = append(p.Pauses, timeline.Seconds(d))
	}
	if c.experiment.Name == runWatch {
		return p, nil
	}
	effective, err := complete(c.tcp)
	if err != nil {
		return nil, err
	}
	p.Plan, err = timeline.NewPlan(c.tcp, effective, m.hz)
	return p, err
}
