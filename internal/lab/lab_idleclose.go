package lab

import (
	"fmt"
	"time"

	"kax/httpka"
	"kax/internal/timeline"
	"kax/tcpka"
)

func idleCloseLab() Lab {
	return Lab{
		Name:     "idle-close",
		Question: "do probes keep an HTTP connection open?",
		Teaches: "No. The server's kernel answers every probe, and its HTTP server hears of none: it counts from its last response, " +
			"and closes when its idle timeout is over, probes or not. A live peer is not a usable connection.",
		World: "nginx closes after 75 s (ngx_http_core_module.c, 2026), Apache after 5 s (httpd.h, 2026), Node.js after 5 s (issue 59193, 2025), AWS's application balancer after 60 s (ALB user guide, 2026), Go's server never, unless told (net/http, Go 1.26, 2026). " +
			"`kax explain timeouts` has a table, and `kax http idle` measures.",
		Topology: "client ──── server",
		Settings: Settings{
			TCP:         tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 3},
			IdleTimeout: 3500 * time.Millisecond,
		},
		Refuses: func(s Settings) error {
			p, err := planOf(s.TCP)
			if err == nil && p.Silence() >= s.IdleTimeout {
				err = fmt.Errorf("the first probe must come before the idle timeout, %v", s.IdleTimeout)
			}
			return err
		},
		Runs: withAndWithout,
		Run:  func(b *Bench) error { return b.Each(idleClose) },
	}
}

func idleClose(r *Run) error {
	client, _, asker, err := r.Asked(httpka.ServerConfig{IdleTimeout: r.IdleTimeout})
	if err != nil {
		return err
	}
	name := Named(asker.Socket())
	r.Step(r.Name, "#%d, %s: nobody asks any more", r.Story(name).N, r.Text)
	if err := asker.Wait(r.ctx); err != nil {
		return err
	}
	s := r.Story(name)
	probes, answers := s.Of("probe"), s.Of("probe-answer")
	sent, err := client.Count("TcpExt", "TCPKeepAlive")
	if err != nil {
		return err
	}
	if r.Client.Enabled {
		r.Check(sent > 0 && probes.Len() == sent && answers.Len() == sent, "%s sent by the kernel's count, and all answered.", timeline.Count(sent, "probe"))
	} else {
		r.Check(sent == 0 && probes.Len() == 0, "no probe was sent, by the kernel's count either.")
	}
	goodbye := s.Of("fin", "rst").First()
	took := between(s.Of("data").By(timeline.Server).Last(), goodbye)
	told := s.Of("idle-close").Len() == 1
	text := ""
	if answers.Len() > 0 {
		text = fmt.Sprintf(", %s after a probe had been answered", timeline.Brief(between(answers.Last(), goodbye)))
	}
	r.Check(told && goodbye.Side == timeline.Server && goodbye.Kind == "fin" && took >= r.IdleTimeout,
		"the server closed by %s %s after its last response%s; its idle timeout is %v.", kindName(goodbye), timeline.Brief(took), text, r.IdleTimeout)
	return nil
}
