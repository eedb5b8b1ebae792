package lab

import (
	"fmt"
	"time"

	"kax/internal/timeline"
	"kax/tcpka"
)

func unackedLab() Lab {
	return Lab{
		Name:     "unacked",
		Question: "why did keepalive not fire?",
		Teaches: "Because data was in flight. Keepalive is for connections on which nothing is outstanding: as long as something is unacknowledged the retransmission timer runs instead, " +
			"and that gives up after tcp_retries2, some quarter of an hour. TCP_USER_TIMEOUT ends it when you say.",
		World: "With tcp_retries2 at its 15, Linux repeats data for 924 s at least before it gives up (networking/ip-sysctl.rst, 2025), whatever keepalive says. " +
			"Programs that must notice sooner set TCP_USER_TIMEOUT.",
		Topology: "client ──── server, whose power is cut",
		Settings: Settings{TCP: tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 3, UserTimeout: 3 * time.Second}},
		Needs:    []Need{needFilter()},
		Runs: func(s Settings) []Variant {
			byCount := s.TCP
			byCount.UserTimeout = 0
			return []Variant{
				{Name: "idle", Text: "nothing is sent", Client: byCount},
				{Name: "in-flight", Text: "data is sent after the power was cut", Client: byCount},
				{Name: "limited", Text: "the same, with TCP_USER_TIMEOUT", Client: s.TCP},
			}
		},
		Refuses: func(s Settings) error {
			if s.TCP.UserTimeout <= 0 {
				return fmt.Errorf("the run \"limited\" needs a --user-timeout")
			}
			return nil
		},
		Run: func(b *Bench) error { return b.Each(unacked) },
	}
}

func unacked(r *Run) error {
	client, server, c, l, err := r.Connected()
	if err != nil {
		return err
	}
	if _, err := l.AcceptTCP(); err != nil {
		return err
	}
	if _, err := server.Silence(); err != nil {
		return err
	}
	name := Named(c)
	r.Step(r.Name, "#%d: the server is gone; %s", r.Story(name).N, r.Text)
	sent := r.Name != "idle"
	if sent {
		if _, err := c.Write([]byte("anybody there?")); err != nil {
			return err
		}
	}
	plan, err := r.plan(r.Runs[0].Client)
	if err != nil {
		return err
	}
	due, _, most := plan.Death()
	var end timeline.Death
	if r.Name == "in-flight" {
		if err := r.Sleep(due.Latest + 2*time.Second); err != nil {
			return err
		}
	} else {
		end = r.Hold(c)
		r.Check(end.Errno == "ETIMEDOUT", "the program reads %s (%s).", end.Errno, end.Text)
	}
	s, repeated, err := client.Seen(name, "Tcp", "RetransSegs")
	if err != nil {
		return err
	}
	probes, resent := s.Of("probe").Len(), s.By(timeline.Client).Of("retransmission")
	counted, err := client.Count("TcpExt", "TCPKeepAlive")
	if err != nil {
		return err
	}
	aborted, err := client.Count("TcpExt", "TCPAbortOnTimeout")
	if err != nil {
		return err
	}
	// The kernel (tcp_write_err) wakes the program first, and then counts.
	for end.Errno == "ETIMEDOUT" && aborted == 0 {
		if err = r.Sleep(time.Millisecond); err != nil {
			return err
		}
		if aborted, err = client.Count("TcpExt", "TCPAbortOnTimeout"); err != nil {
			return err
		}
	}
	told := counted == probes && repeated == resent.Len()
	// On a busy machine a handshake may be repeated too, and where the program is
	// late a probe goes before the data.
	again := resent.After(s.Of("established").First().At).Len()
	data := s.Of("data").First()
	since := counted - s.before(data.At).Of("probe").Len()
	switch r.Name {
	case "idle":
		took := between(s.By(timeline.Server).Last(), s.Of("rst").First())
		r.Check(told && probes == most && again == 0 && onTime(due, took), "%s, then ETIMEDOUT %s after the server was last heard; planned was %v.",
			timeline.Count(probes, "probe"), timeline.Brief(took), due)
	case "in-flight":
		r.Check(told && since == 0 && again > 0, "%s by the kernel's count since the data was sent, and %s.",
			timeline.Count(since, "probe"), timeline.Count(again, "retransmission"))
		r.Check(isEstablished(c) && aborted == 0, "%s after the time that keepalive had, the connection is ESTABLISHED.", timeline.Brief(2*time.Second))
	case "limited":
		took := time.Duration(end.At - data.At)
		r.Check(told && since == 0 && again > 0 && aborted == 1 && took >= r.Client.UserTimeout,
			"%s and %s since the data was sent, then ETIMEDOUT %s after it, when the timer looked at the user timeout of %v; the kernel counts %d and %d, and %d given up.",
			timeline.Count(since, "probe"), timeline.Count(again, "retransmission"), timeline.Brief(took), r.Client.UserTimeout, counted, repeated, aborted)
	}
	return nil
}
