package lab

import (
	"context"
	"errors"
	"syscall"
	"time"

	"kax/httpka"
	"kax/internal/timeline"
	"kax/tcpka"
)

// hangs is how long a request may be without an answer until it is called hanging:
// on these links an answer takes less than a millisecond.
const hangs = 2 * time.Second

func vanishLab() Lab {
	return Lab{
		Name:     "vanish",
		Question: "who notices a peer that is gone?",
		Teaches: "With TCP keepalive the kernel does: unanswered probes end the connection with ETIMEDOUT at a predictable time, " +
			"and a RST goes out, whoever may hear it. Without it nobody does. The connection stays ESTABLISHED, the client's HTTP pool offers it for the next request, " +
			"and that hangs.",
		World:    "Linux's defaults take 2 h 11 min (7200 s idle, 75 s interval, 9 probes: tcp(7), man-pages 6.03, 2023), Go's 2 min 30 s (15 s, 15 s, 9: net/dial.go, Go 1.26, 2026).",
		Topology: "client ──── server, whose power is cut",
		Settings: Settings{TCP: tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 3}},
		Needs:    []Need{needFilter()},
		Runs:     withAndWithout,
		Run:      func(b *Bench) error { return b.Each(vanish) },
	}
}

func vanish(r *Run) error {
	_, server, asker, err := r.Asked(httpka.ServerConfig{})
	if err != nil {
		return err
	}
	socket := asker.Socket()
	name := Named(socket)
	if _, err := server.Silence(); err != nil {
		return err
	}
	r.Step(r.Name, "#%d, %s: the server is gone", r.Story(name).N, r.Text)

	plan, err := r.plan(r.TCP)
	if err != nil {
		return err
	}
	at, fewest, most := plan.Death()
	if r.Client.Enabled {
		if err := asker.Wait(r.ctx); err != nil { // until the pool has let it go
			return err
		}
		s := r.Story(name)
		probes, rst := s.Of("probe"), s.By(timeline.Client).Of("rst")
		heard := s.By(timeline.Server).Last()
		took := between(heard, rst.First())
		r.Check(probes.Len() >= fewest && probes.Len() <= most && s.Of("probe-answer").Len() == 0,
			"%s went unanswered, of %d planned.", timeline.Count(probes.Len(), "probe"), most)
		r.Check(errors.Is(socket.Err(), syscall.ETIMEDOUT), "the pool's connection ended: %v.", cause(socket.Err()))
		r.Check(rst.Len() == 1 && onTime(at, took), "the kernel sent a RST %s after the server was last heard; planned was %v.", timeline.Brief(took), at)
		return nil
	}
	if err := r.Sleep(at.Latest + hangs/4); err != nil {
		return err
	}
	up := isEstablished(socket.TCPConn)
	r.Check(up && socket.Err() == nil && r.Story(name).Of("probe").Len() == 0,
		"when that time is over the connection is ESTABLISHED, not a probe was sent, and the pool has noticed nothing.")
	r.Step(r.Name, "#%d: the next request", r.Story(name).N)
	took, err := asker.Ask(server.URL("/keep"), hangs)
	if errors.Is(err, context.DeadlineExceeded) {
		if err := r.awaitRepeat(name); err != nil {
			return err
		}
	}
	s := r.Story(name)
	again := s.Of("retransmission")
	r.Check(errors.Is(err, context.DeadlineExceeded) && s.Of("request").Len() == 2 && again.Len() > 0,
		"the next request goes out on it and has no answer after %s: only %s.", timeline.Brief(took), timeline.Count(again.Len(), "retransmission"))
	return nil
}
