package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"kax/httpka"
	"kax/internal/hosts"
	"kax/internal/timeline"
	"kax/tcpka"
)

// The router's memory of an idle connection, and how long the client is idle:
// long enough for a probe that comes too late.
const (
	natForgets = 4 * time.Second
	natPause   = natForgets + 3*time.Second
)

func natLab() Lab {
	return Lab{
		Name:     "nat",
		Question: "who keeps a NAT's memory fresh?",
		Teaches: "Any packet does, and a probe is one: with probes more often than the NAT forgets the next request takes a millisecond. " +
			"Without them, or with probes that come too late, the NAT has forgotten the connection: it drops whatever comes, " +
			"neither end is told, and the next request is repeated into the void.",
		World: "Linux's own conntrack forgets after 5 days (nf_conntrack-sysctl.rst, 2026), AWS's NAT gateway after 350 s (VPC user guide, 2023), Azure's after 4 min (NAT Gateway resource, 2023): " +
			"`kax explain timeouts` has a table. Here it is 4 s.",
		Topology: "client ──── router ──── server\n            NAT, forgets an idle connection after 4s",
		Settings: Settings{TCP: tcpka.Settings{Enabled: true, Idle: 2 * time.Second, Interval: 2 * time.Second, Count: 9}},
		Refuses: func(s Settings) error {
			with, err := planOf(s.TCP)
			if err != nil {
				return err
			}
			late, err := planOf(natLate(s.TCP))
			if err != nil {
				return err
			}
			death, _, _ := late.Death()
			switch {
			case with.Silence() >= natForgets:
				return fmt.Errorf("the probes of the run \"with\" must come more often than the router forgets, %v", natForgets)
			case death.Earliest < natPause+time.Second:
				return fmt.Errorf("in the run \"late\" the client's kernel would give up after %v, before the next request: more probes, a longer interval, or no user timeout", death.Earliest)
			}
			return nil
		},
		Needs: []Need{needConntrack()},
		Runs: func(s Settings) []Variant {
			return []Variant{
				{Name: "without", Text: "no probes"},
				{Name: "with", Text: "probes before the router forgets", Client: s.TCP},
				{Name: "late", Text: "probes after it has forgotten", Client: natLate(s.TCP)},
			}
		},
		Run: func(b *Bench) error { return b.Each(nat) },
	}
}

// natLate probes when the router has forgotten.
func natLate(s tcpka.Settings) tcpka.Settings {
	s.Idle = natForgets + time.Second
	return s
}

func nat(r *Run) error {
	client, router, server, err := r.Routed(hosts.NAT{Forget: natForgets})
	if err != nil {
		return err
	}
	if _, err := server.Serve(r.Server, httpka.ServerConfig{}); err != nil {
		return err
	}
	asker := client.Client(r.Client, httpka.ClientConfig{})
	if _, err := asker.Ask(server.URL("/keep"), requestTimeout); err != nil {
		return err
	}
	name := Named(asker.Socket())
	r.Step(r.Name, "#%d: %s; then idle for %v", r.Story(name).N, r.Text, natPause)
	var left []string // of the router's memory, in seconds
	known := false
	for range int(natPause / time.Second) {
		if err := r.Sleep(time.Second); err != nil {
			return err
		}
		var t time.Duration
		if t, known, err = router.Remembered(name.a, name.b); err != nil {
			return err
		}
		if known {
			left = append(left, fmt.Sprint(int(t/time.Second)))
		} else {
			left = append(left, "gone")
		}
	}
	idle := r.Story(name)
	answered := idle.Of("probe-answer").Len()
	r.Check(known == (r.Name == "with"), "the router's memory, second by second, was good for %s s.", strings.Join(left, ", "))

	r.Step(r.Name, "#%d: the next request", idle.N)
	took, err := asker.Ask(server.URL("/keep"), hangs)
	if errors.Is(err, context.DeadlineExceeded) {
		if err := r.awaitRepeat(name); err != nil {
			return err
		}
	}
	s, segments, countErr := client.Seen(name, "Tcp", "RetransSegs")
	// A busy machine repeats handshakes too.
	repeated := s.By(timeline.Client).Of("retransmission")
	again := repeated.After(s.Of("request").Last().At).Len()
	told := repeated.Len() == segments
	probes := timeline.Count(s.Of("probe").Len(), "probe")
	if countErr != nil {
		return countErr
	}
	if r.Name == "with" {
		r.Check(err == nil && told && again == 0 && answered > 0 && s.Of("request").Last().Reused && len(asker.Sockets()) == 1,
			"%s kept it, and the next request took %s on the same connection.", probes, timeline.Brief(took))
		return nil
	}
	if r.Name == "late" {
		r.Check(s.Of("probe").Len() > 0 && answered == 0, "%s, and no answer.", probes)
	}
	lost := s.After(s.Of("request").Last().At).By(timeline.Server).Len() == 0
	r.Check(errors.Is(err, context.DeadlineExceeded) && lost && told && again > 0,
		"the next request has no answer after %s; the kernel repeated it %d times by its own count.", timeline.Brief(took), again)
	return nil
}
