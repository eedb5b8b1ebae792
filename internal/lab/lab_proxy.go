package lab

import (
	"io"
	"net"
	"sync"
	"time"

	"kax/httpka"
	"kax/internal/timeline"
	"kax/tcpka"
)

func proxyLab() Lab {
	return Lab{
		Name:     "proxy",
		Question: "do probes cross a proxy?",
		Teaches: "No. A proxy ends the client's connection and has one of its own to the backend; the client's probes are answered by the proxy's kernel, and none is seen behind it. " +
			"So the backend does not learn that a client is gone, unless the proxy finds out, by probes of its own, and passes it on by closing.",
		World: "nginx probes clients with `so_keepalive` on its listen line, HAProxy with `option clitcpka` and backends with `option srvtcpka`, Envoy with `tcp_keepalive`; " +
			"none does without being told, and then the kernel's 2 h hold.",
		Topology: "client ──── proxy ──── backend\n       #1          #2",
		Settings: Settings{TCP: tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 3}},
		Needs:    []Need{needFilter()},
		Runs: func(s Settings) []Variant {
			return []Variant{
				{Name: "client", Text: "the client probes", Client: s.TCP},
				{Name: "proxy", Text: "the proxy probes its clients", Server: s.TCP},
			}
		},
		Run: func(b *Bench) error { return b.Each(throughProxy) },
	}
}

func throughProxy(r *Run) error {
	client, proxy, backend, err := r.proxied()
	if err != nil {
		return err
	}
	if err := backend.Serve(tcpka.Settings{}, httpka.ServerConfig{}); err != nil {
		return err
	}
	front, err := proxy.Listen(r.Server)
	if err != nil {
		return err
	}
	behind := make(chan *net.TCPConn, 1)
	go relay(front, func() (*net.TCPConn, error) {
		c, err := proxy.Dial(r.ctx, tcpka.Settings{}, backend.At())
		if err == nil {
			behind <- c
		}
		return c, err
	})
	asker := client.Client(r.Client, httpka.ClientConfig{})
	if _, err := asker.Ask(proxy.URL("/keep"), requestTimeout); err != nil {
		return err
	}
	before, after := Named(asker.Socket()), Named(<-behind)
	r.Step(r.Name, "#%d to the proxy, #%d behind it; %s", r.Story(before).N, r.Story(after).N, r.Text)
	if err := r.Await(before, func(s Story) bool { return s.Of("probe-answer").Len() >= 2 }); err != nil {
		return err
	}
	if r.Client.Enabled {
		s, sent, err := client.Seen(before, "TcpExt", "TCPKeepAlive")
		if err != nil {
			return err
		}
		r.Check(s.Of("probe").Len() == sent && s.Of("probe-answer").Len() == sent && r.Story(after).Of("probe").Len() == 0,
			"%s of the client, by its kernel's count, were answered by the proxy, and behind it there is none.", timeline.Count(sent, "probe"))
	}

	// A machine without power has no timers either.
	if _, err := tcpka.Set(asker.Socket().TCPConn, tcpka.Settings{}); err != nil {
		return err
	}
	if _, err := client.Silence(); err != nil {
		return err
	}
	r.Step(r.Name, "the client is gone")
	plan, err := r.plan(r.TCP)
	if err != nil {
		return err
	}
	at, _, most := plan.Death()
	end := backend.accepted()[0]
	if r.Server.Enabled {
		if err := r.Await(after, func(s Story) bool { return s.By(timeline.Client).Of("fin", "rst").Len() > 0 }); err != nil {
			return err
		}
		s1, s2 := r.Story(before), r.Story(after)
		probes := s1.Of("probe").By(timeline.Server).Len()
		gone := s1.By(timeline.Server).Of("rst").First()
		took := between(s1.By(timeline.Client).Of("probe-answer", "data", "ack", "established").Last(), gone)
		goodbye := s2.By(timeline.Client).Of("fin", "rst").First()
		r.Check(probes >= most && gone.Kind == "rst",
			"the proxy's kernel gave the client up %s after it was last heard.", timeline.Brief(took))
		r.Check(goodbye.At >= gone.At, "the proxy told the backend by %s, %s later.", kindName(goodbye), timeline.Brief(between(gone, goodbye)))
		return nil
	}
	if err := r.Sleep(at.Latest + slack); err != nil {
		return err
	}
	s2 := r.Story(after)
	r.Check(isEstablished(end) && s2.Of("fin", "rst", "probe").Len() == 0,
		"%v after the client was gone, when probes would have found out, the backend's connection is ESTABLISHED and nobody has told it anything.", at.Latest)
	return nil
}

// proxied is a client, a proxy and a backend, each linked to the next.
func (r *Run) proxied() (client, proxy, backend *Host, err error) {
	for _, h := range []struct {
		name string
		to   **Host
	}{{"client", &client}, {"proxy", &proxy}, {"backend", &backend}} {
		if *h.to, err = r.Host(h.name); err != nil {
			return nil, nil, nil, err
		}
	}
	// The last link of the proxy is where it is reached.
	if err = r.Link(proxy, backend); err != nil {
		return nil, nil, nil, err
	}
	if err = r.Link(client, proxy); err != nil {
		return nil, nil, nil, err
	}
	client.nat = true // what the backend tells is of another connection
	return client, proxy, backend, r.Capture(client, proxy, backend)
}

// relay hands on bytes between what it accepts and what it dials, and closes both
// when one of them ends.
func relay(l *Listener, dial func() (*net.TCPConn, error)) {
	for {
		front, err := l.AcceptTCP()
		if err != nil {
			return
		}
		back, err := dial()
		if err != nil {
			_ = front.Close()
			continue
		}
		var once sync.Once
		both := func() {
			_ = front.Close()
			_ = back.Close()
		}
		for _, way := range [][2]*net.TCPConn{{front, back}, {back, front}} {
			go func() {
				_, _ = io.Copy(way[1], way[0])
				once.Do(both)
			}()
		}
	}
}
