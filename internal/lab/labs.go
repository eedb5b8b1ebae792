package lab

import (
	"context"
	"net"
	"slices"
	"strings"
	"time"

	"kax/internal/timeline"
	"kax/tcpka"
)

// Labs are all of them, in the order in which they are to be read.
func Labs() []Lab {
	return []Lab{
		demoLab(),
		closeLab(),
		keepLab(),
		idleCloseLab(),
		vanishLab(),
		natLab(),
		unackedLab(),
		zeroWindowLab(),
		proxyLab(),
		raceLab(),
		rebootLab(),
		userTimeoutLab(),
		slowClockLab(),
		http2PingLab(),
		inheritLab(),
	}
}

// Find is the lab of a name.
func Find(name string) (Lab, bool) {
	all := Labs()
	i := slices.IndexFunc(all, func(l Lab) bool { return l.Name == name })
	if i < 0 {
		return Lab{}, false
	}
	return all[i], true
}

// A Lab is an experiment that answers one question.
type Lab struct {
	Name     string
	Question string
	Teaches  string // what must be seen for that to hold, in a few sentences
	World    string // what the times are where nobody made them short
	Topology string // a drawing, of lines

	// Settings are its defaults. What is zero is no setting of this lab.
	Settings Settings
	// Refuses says why the lab has nothing to show with some settings; may be nil.
	Refuses func(Settings) error
	// Runs are what it compares, by the settings.
	Runs func(Settings) []Variant
	// Needs are the parts of the kernel that it takes, beyond namespaces and the
	// links of hosts.
	Needs []Need

	// Run takes the steps, and then has [Bench.Check] hold what was seen against
	// what the lab teaches.
	Run func(*Bench) error

	// Limit is how long the lab may take; 0 is longer than any does with its
	// settings.
	Limit time.Duration

	note   func(payload []byte) string // says something of a packet; may be nil
	alone  bool                        // it takes a single host
	ownEnd bool                        // Run ends its connections itself, also when it is interrupted
}

// Settings are what a user may choose.
type Settings struct {
	TCP         tcpka.Settings // of the runs that have keepalive on
	IdleTimeout time.Duration  // of the HTTP server
	Requests    int
}

// A Variant is one of the runs that a lab compares.
type Variant struct {
	Name   string
	Text   string // what is special about it
	Client tcpka.Settings
	Server tcpka.Settings
}

// Record is the lab as a record, with what it has shown; nil is nothing.
func (l Lab) Record(r *timeline.LabResult) *timeline.Lab {
	return &timeline.Lab{Name: l.Name, Question: l.Question, LabResult: r}
}

// withAndWithout are runs with the client's TCP keepalive, and without.
func withAndWithout(s Settings) []Variant {
	return []Variant{
		{Name: "with", Text: "TCP keepalive on the client", Client: s.TCP},
		{Name: "without", Text: "no TCP keepalive"},
	}
}

// header is the lab's, with what the kernel makes of its settings.
func (l Lab) header(s Settings, variants []Variant) (timeline.Settings, error) {
	out := timeline.Settings{Private: true, LabSettings: &timeline.LabSettings{
		Lab: l.Name, Question: l.Question, Topology: strings.Trim(l.Topology, "\n"), Runs: []timeline.LabRun{},
	}}
	if s.IdleTimeout > 0 {
		out.HTTPSettings = &timeline.HTTPSettings{IdleTimeout: timeline.Seconds(s.IdleTimeout), Reuse: true, Pauses: []timeline.Seconds{}}
	}
	for _, v := range variants {
		r := timeline.LabRun{Name: v.Name, Text: v.Text}
		for _, end := range []struct {
			asked tcpka.Settings
			to    **timeline.Keepalive
		}{{v.Client, &r.ClientTCP}, {v.Server, &r.ServerTCP}} {
			if !end.asked.Enabled && (end.to == &r.ServerTCP || v.Server.Enabled) {
				continue // nothing is to be seen of it
			}
			got, err := effective(end.asked)
			if err != nil {
				return timeline.Settings{}, err
			}
			*end.to = &timeline.Keepalive{Asked: timeline.Options(end.asked), Effective: timeline.Options(got)}
		}
		out.Runs = append(out.Runs, r)
	}
	return out, nil
}

// effective is what the kernel makes of settings, read back from a socket that has
// them.
func effective(s tcpka.Settings) (tcpka.Settings, error) {
	l, err := s.ListenConfig().Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		return tcpka.Settings{}, err
	}
	defer l.Close()
	return tcpka.Get(l.(*net.TCPListener))
}
