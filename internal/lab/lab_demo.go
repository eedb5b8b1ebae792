package lab

import (
	"fmt"
	"net/netip"
	"time"

	"kax/internal/timeline"
)

func demoLab() Lab {
	d := DefaultDemo()
	return Lab{
		Name:     "demo",
		Question: "what have TCP keepalive and HTTP keep-alive to do with each other?",
		Teaches: "Nothing but the name. By the one the kernel asks whether the peer is there, in packets without a byte that no program sees; " +
			"by the other client and server use a connection for more than one request. A connection whose probes are all answered is closed all the same when HTTP is done with it.",
		World:    "It is `kax demo`, in a network of its own. Linux's idle time is 2 h where nobody sets one (tcp(7), man-pages 6.03, 2023); idle timeouts of HTTP servers are seconds to minutes: `kax explain timeouts`.",
		Topology: "client and server on one host, over lo",
		Settings: Settings{TCP: d.Client, IdleTimeout: d.IdleTimeout},
		Refuses: func(s Settings) error {
			p, err := planOf(s.TCP)
			if first := d.Pauses[0]; err == nil && p.Silence() >= min(first, s.IdleTimeout) {
				err = fmt.Errorf("the first probe must come before a pause of %v and an idle timeout of %v are over", first, s.IdleTimeout)
			}
			if err == nil && s.IdleTimeout <= d.Pauses[0] {
				err = fmt.Errorf("the idle timeout must be longer than the client's pauses, %v", d.Pauses[0])
			}
			return err
		},
		Runs: func(s Settings) []Variant {
			return []Variant{{Text: "three acts: close, keep, idle", Client: s.TCP}}
		},
		Run:    func(b *Bench) error { return demo(b.Runs[0]) },
		alone:  true,
		ownEnd: true,
	}
}

func demo(r *Run) error {
	d := DefaultDemo()
	d.Client, d.IdleTimeout = r.TCP, r.IdleTimeout
	h, err := r.Host("host")
	if err != nil {
		return err
	}
	h.Addr = netip.MustParseAddr("127.0.0.1")
	if err := r.Capture(h); err != nil {
		return err
	}
	l, err := h.Listen(d.Server)
	if err != nil {
		return err
	}
	if err := d.play(h, l, h.At()); err != nil || r.ctx.Err() != nil {
		return err
	}
	all := r.Story(Conn{})
	byConn := map[int]int{} // requests
	for _, e := range all.Of("request").Events {
		byConn[e.Conn]++
	}
	last := len(byConn)
	r.Check(last == closeRequests+1 && byConn[1] == 1 && byConn[2] == 1, "with Connection: close, %d requests took as many connections.", closeRequests)
	r.Check(byConn[last] == keepRequests, "without it, %d used connection #%d.", byConn[last], last)
	sent, err := h.Count("TcpExt", "TCPKeepAlive")
	if err != nil {
		return err
	}
	probes, answers := all.Of("probe"), all.Of("probe-answer")
	r.Check(sent > 0 && probes.Len() == sent && answers.Len() == sent && all.Of("response").Len() == closeRequests+keepRequests,
		"%s crossed it by the kernel's count, all answered; the HTTP server has seen %d requests and nothing else.", timeline.Count(sent, "probe"), all.Of("response").Len())
	goodbye := all.Of("idle-close").Last()
	r.Check(goodbye.Conn == last && time.Duration(goodbye.Idle) >= d.IdleTimeout && answers.Last().At < goodbye.At,
		"the server closed it after %s of idle time, %s after a probe had been answered.", timeline.Brief(time.Duration(goodbye.Idle)), timeline.Brief(between(answers.Last(), goodbye)))
	return nil
}
