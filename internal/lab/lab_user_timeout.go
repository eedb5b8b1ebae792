package lab

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"kax/internal/timeline"
	"kax/tcpka"
)

func userTimeoutLab() Lab {
	return Lab{
		Name:     "user-timeout",
		Question: "count, or TCP_USER_TIMEOUT: who decides?",
		Teaches: "TCP_USER_TIMEOUT, where it is set: the count means nothing then, be it higher or lower. " +
			"But it is looked at only when the keepalive timer fires, and ends nothing before a probe is unanswered: it shortens neither the idle time nor the interval.",
		World: "gRPC sets it to 20 s where its own keepalive is on (gRFC A18, 2018). It bounds retransmissions too, which keepalive does not: where data is in flight it is all that does, " +
			"short of net.ipv4.tcp_retries2, which takes a quarter of an hour (networking/ip-sysctl.rst, 2025). Set to idle time + count × interval it says the same as the count.",
		Topology: "client ──── server, whose power is cut",
		Settings: Settings{TCP: tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 2, UserTimeout: 3500 * time.Millisecond}},
		Needs:    []Need{needFilter()},
		Refuses: func(s Settings) error {
			if s.TCP.UserTimeout <= 0 {
				return errors.New("there is nothing to compare without a TCP_USER_TIMEOUT")
			}
			return nil
		},
		Runs: func(s Settings) []Variant {
			with := func(count int, limit time.Duration) tcpka.Settings {
				t := s.TCP
				t.Count, t.UserTimeout = count, limit
				return t
			}
			return []Variant{
				{Name: "count", Text: "no TCP_USER_TIMEOUT", Client: with(s.TCP.Count, 0)},
				{Name: "timeout", Text: "the same count, and TCP_USER_TIMEOUT", Client: s.TCP},
				{Name: "many", Text: "the same TCP_USER_TIMEOUT, and a count far beyond it", Client: with(tcpka.MaxCount, s.TCP.UserTimeout)},
				{Name: "short", Text: "TCP_USER_TIMEOUT below the idle time", Client: with(s.TCP.Count, s.TCP.Idle/2)},
			}
		},
		Run: userTimeout,
	}
}

func userTimeout(b *Bench) error {
	sent := make([]string, len(b.Runs))
	err := b.Each(func(r *Run) (err error) {
		sent[r.index], err = giveUp(r)
		return err
	})
	if err != nil {
		return err
	}
	b.Check(true, "the same idle time and interval, and %s.", strings.Join(sent, "; "))
	return nil
}

// giveUp has the kernel give a peer up, and says after what.
func giveUp(r *Run) (string, error) {
	_, server, c, _, err := r.Connected()
	if err != nil {
		return "", err
	}
	if _, err := server.Silence(); err != nil {
		return "", err
	}
	name := Named(c)
	r.Step(r.Name, "#%d, %s: the server is gone", r.Story(name).N, r.Text)
	plan, err := r.plan(r.Client)
	if err != nil {
		return "", err
	}
	at, fewest, most := plan.Death()

	death := r.Hold(c)
	s := r.Story(name)
	heard := s.By(timeline.Server).Last()
	probes, rst := s.After(heard.At).Of("probe").Len(), s.By(timeline.Client).Of("rst")
	took := between(heard, rst.First())
	sent := timeline.Count(probes, "probe")
	planned := fmt.Sprint(most)
	if fewest < most {
		planned = fmt.Sprintf("%d to %d", fewest, most)
	}
	r.Check(probes >= fewest && probes <= most && rst.Len() == 1 && onTime(at, took) && death.Errno == "ETIMEDOUT",
		"%s went unanswered, then %s and a RST, %s after the server was last heard; planned were %s, and %v.",
		sent, death.Errno, timeline.Brief(took), planned, at)
	if limit := r.Client.UserTimeout; limit > 0 {
		return fmt.Sprintf("a TCP_USER_TIMEOUT of %v with a count of %d: %s", limit, r.Client.Count, sent), nil
	}
	return fmt.Sprintf("a count of %d alone: %s", r.Client.Count, sent), nil
}
