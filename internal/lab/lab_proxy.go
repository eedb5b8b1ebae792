package lab

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"kax/internal/timeline"
	"kax/tcpka"
)

func proxyLab() Lab {
	return Lab{
		Name:     "proxy",
		Question: "do probes cross a proxy?",
		Teaches: "A proxy ends one TCP connection and opens another: a probe is answered by the kernel at the other end of its own connection, and goes no further. " +
			"The backend's probes are answered by the proxy, however dead the client: the backend never learns. " +
			"Who is next to the client must ask: a proxy with keepalive towards its clients notices, and passes the end on.",
		World: "Load balancers, ingress controllers, service meshes, SSH and SOCKS tunnels are such proxies. Towards clients keepalive has to be asked for: " +
			"of HAProxy by option clitcpka (configuration manual 1.7, 2016), of nginx by so_keepalive on its listen line (ngx_http_core_module.c, 2026), " +
			"of Envoy by a listener's socket_options (API: SocketOption, 1.34, 2025). An idle timeout of the proxy's often comes first.",
		Topology: "client, whose power is cut ──── proxy ──── server\n(direct: no proxy)",
		Settings: Settings{TCP: tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 3}},
		Needs:    []Need{needFilter()},
		Runs: func(s Settings) []Variant {
			return []Variant{
				{Name: "direct", Text: "no proxy", Server: s.TCP},
				{Name: "proxy", Text: "a proxy between, without keepalive", Server: s.TCP},
				{Name: "careful", Text: "a proxy with the same keepalive towards its clients", Server: s.TCP},
			}
		},
		Run: func(b *Bench) error { return b.Each(proxy) },
	}
}

func proxy(r *Run) error {
	p, err := proxied(r)
	if err != nil {
		return err
	}
	front := Named(p.client)
	// What the client has not acknowledged would be sent again, instead of probes.
	if err := r.Await(front, func(s Story) bool {
		sent, got := s.By(timeline.Server).Of("data").Last(), s.By(timeline.Client).Last()
		return sent.Len > 0 && got.Ack == sent.Seq+uint32(sent.Len)
	}); err != nil {
		return err
	}
	if _, err := p.host.Silence(); err != nil {
		return err
	}
	r.Step(r.Name, "#%d, %s: the client is gone", r.Story(front).N, r.Text)
	plan, err := r.plan(r.TCP)
	if err != nil {
		return err
	}
	at, fewest, most := plan.Death()
	if err := r.Sleep(at.Latest + time.Second); err != nil {
		return err
	}
	s := r.Story(front)
	heard := s.By(timeline.Client).Last()
	probes, rst := s.After(heard.At).Of("probe").Len(), s.By(timeline.Server).Of("rst")
	noticed := probes >= fewest && probes <= most && rst.Len() == 1 && onTime(at, between(heard, rst.First()))
	if r.Name == "direct" {
		_, err := p.ended()
		r.Check(noticed && errors.Is(err, syscall.ETIMEDOUT), "%s went unanswered, and %s after the client was last heard the server was told: %v.",
			timeline.Count(probes, "probe"), timeline.Brief(between(heard, rst.First())), cause(err))
		return nil
	}
	open, err := p.server.Count("Tcp", "CurrEstab")
	if err != nil {
		return err
	}
	back := r.Story(Named(p.back))
	asked, answered := back.Of("probe").By(timeline.Server).Len(), back.Of("probe-answer").By(timeline.Client).Len()
	if r.Name == "proxy" {
		r.Check(asked > 0 && answered >= asked-1 && probes == 0 && s.After(heard.At).Len() == 0 && open == 1 && isEstablished(p.back),
			"%s of the server's on #%d, %d answered: by the proxy, for on #%d there was nothing. %s after the client was last heard the server still counts %d connection ESTABLISHED.",
			timeline.Count(asked, "probe"), back.N, answered, s.N, timeline.Brief(at.Latest+time.Second), open)
		return nil
	}
	fin := back.By(timeline.Client).Of("fin")
	ended, err := p.ended()
	r.Check(noticed && fin.Len() == 1 && ended && err == nil && open == 0,
		"%s of the proxy's on #%d went unanswered; %s after the client was last heard it ended #%d too, by FIN, and the server counts %d connections ESTABLISHED.",
		timeline.Count(probes, "probe"), s.N, timeline.Brief(between(heard, fin.First())), back.N, open)
	return nil
}

// A hop is a client that has spoken with a server, at first hand or by a proxy.
type hop struct {
	host, server *Host
	client, back *net.TCPConn // the first connection at its client, and the last at its
	end          chan error   // of the server's program; nil is an end of file
}

// ended reports whether the server's program has been told of an end, and which.
func (h *hop) ended() (bool, error) {
	select {
	case err := <-h.end:
		return true, err
	default:
		return false, nil
	}
}

// proxied makes the hosts, and has the client speak.
func proxied(r *Run) (*hop, error) {
	if r.Name != "direct" {
		return byProxy(r)
	}
	client, server, err := r.Pair()
	if err != nil {
		return nil, err
	}
	h := &hop{host: client, server: server, end: make(chan error, 1)}
	if err := h.echo(r); err != nil {
		return nil, err
	}
	h.client, err = h.speak(r, server.At())
	h.back = h.client
	return h, err
}

func byProxy(r *Run) (*hop, error) {
	h := &hop{end: make(chan error, 1)}
	var between *Host
	var err error
	for name, host := range map[string]**Host{"client": &h.host, "proxy": &between, "server": &h.server} {
		if *host, err = r.Host(name); err != nil {
			return nil, err
		}
	}
	if err := r.Link(between, h.server); err != nil {
		return nil, err
	}
	if err := r.Link(h.host, between); err != nil { // the last: there the client reaches it
		return nil, err
	}
	if err := r.Capture(h.host, between, h.server); err != nil {
		return nil, err
	}
	if err := h.echo(r); err != nil {
		return nil, err
	}
	var towardsClients tcpka.Settings
	if r.Name == "careful" {
		towardsClients = r.TCP
	}
	l, err := between.Listen(towardsClients)
	if err != nil {
		return nil, err
	}
	back := make(chan *net.TCPConn, 1)
	go forward(r, l, between, h.server.At(), back)
	if h.client, err = h.speak(r, between.At()); err != nil {
		return nil, err
	}
	h.back = <-back
	return h, nil
}

// forward is the proxy's program, for one connection: an end of either is passed on.
func forward(r *Run, l *Listener, proxy *Host, server netip.AddrPort, opened chan<- *net.TCPConn) {
	defer close(opened)
	from, err := l.AcceptTCP()
	if err != nil {
		return
	}
	defer func() { _ = from.Close() }()
	to, err := proxy.Dial(r.ctx, tcpka.Settings{}, server)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	opened <- to
	go func() {
		_, _ = io.Copy(from, to)
		_ = from.Close()
	}()
	_, _ = io.Copy(to, from)
}

// echo runs the server's program, for one connection.
func (h *hop) echo(r *Run) error {
	l, err := h.server.Listen(r.Server)
	if err != nil {
		return err
	}
	go func() {
		c, err := l.AcceptTCP()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, err = io.Copy(c, c)
		h.end <- err
	}()
	return nil
}

// speak opens the client's connection, and has an answer come back.
func (h *hop) speak(r *Run, to netip.AddrPort) (*net.TCPConn, error) {
	c, err := h.host.Dial(r.ctx, r.Client, to)
	if err != nil {
		return nil, err
	}
	word := []byte("hello\n")
	if _, err = c.Write(word); err == nil {
		_, err = io.ReadFull(c, word)
	}
	return c, err
}
