package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"kax/httpka"
	"kax/internal/timeline"
	"kax/tcpka"
)

// pingEvery is after how much silence the client sends a PING, and how long it
// waits for the answer.
const pingEvery = time.Second

func http2PingLab() Lab {
	return Lab{
		Name:     "http2-ping",
		Question: "what does HTTP/2 add?",
		Teaches: "It has a third mechanism: PING frames, sent and answered by the programs (RFC 9113 section 6.7, 2022). They are bytes on the connection. " +
			"Probes ask whether the peer's kernel is there, a PING whether its program is. Both notice a peer that is gone. " +
			"Of a program that hangs the kernel goes on answering probes and acknowledging bytes, and only PING notices.",
		World: "Go's client sends none unless HTTP2Config.SendPingTimeout is set, and then waits 15 s for the answer (net/http, Go 1.26, 2026); gRPC calls its PINGs keepalive, and servers may refuse too many (ENHANCE_YOUR_CALM). " +
			"Here it is a PING after 1 s of silence, and 1 s for the answer.",
		Topology: "client ──── server, whose power is cut, or whose program hangs",
		Settings: Settings{TCP: tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 3}},
		Needs:    []Need{needFilter()},
		Runs: func(s Settings) []Variant {
			return []Variant{
				{Name: "gone-probes", Text: "the power is cut; TCP keepalive on the client, no PING", Client: s.TCP},
				{Name: "gone-ping", Text: "the power is cut; PING from the client, no TCP keepalive"},
				{Name: "hung-probes", Text: "the program hangs; TCP keepalive on the client, no PING", Client: s.TCP},
				{Name: "hung-ping", Text: "the program hangs; PING from the client, no TCP keepalive"},
			}
		},
		Run:  func(b *Bench) error { return b.Each(http2Ping) },
		note: pingFrame,
	}
}

func http2Ping(r *Run) error {
	client, server, err := r.Pair()
	if err != nil {
		return err
	}
	l, err := server.Listen(r.Server)
	if err != nil {
		return err
	}
	hang := make(chan struct{})
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	srv := &http.Server{Protocols: &h2c, Handler: http.NotFoundHandler(), ReadHeaderTimeout: requestTimeout}
	served := make(chan struct{})
	go func() {
		_ = srv.Serve(hangingListener{l, hang}) // ends with the listener
		close(served)
	}()
	asker := &http2Client{}
	t := &http.Transport{Protocols: &h2c, DialContext: asker.dialer(client, r.Client)}
	if !r.Client.Enabled {
		t.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingEvery, PingTimeout: pingEvery}
	}
	r.atEnd(func() {
		t.CloseIdleConnections()
		_ = srv.Close()
		<-served
	})
	if err := ask(r.ctx, t, server.URL("/"), requestTimeout); err != nil {
		return err
	}
	socket := asker.socket
	name := Named(socket)
	r.Step(r.Name, "#%d: idle; soon %s", r.Story(name).N, r.Text)
	if err := r.Await(name, func(s Story) bool { return s.Of("probe-answer").Len() > 0 || pings(s, timeline.Server).Len() > 0 }); err != nil {
		return err
	}
	if strings.HasPrefix(r.Name, "gone") {
		_, err = server.Silence()
		r.Step(r.Name, "#%d: the server's power is cut", r.Story(name).N)
	} else {
		close(hang)
		r.Step(r.Name, "#%d: the server's program hangs; its kernel does not", r.Story(name).N)
	}
	if err != nil {
		return err
	}
	switch {
	case !r.Client.Enabled:
		return r.pinged(client, name)
	case r.Name == "gone-probes":
		return r.probedTheGone(name, socket)
	default:
		return r.probedTheHung(client, name, socket, func() error { return ask(r.ctx, t, server.URL("/"), hangs) })
	}
}

// pinged is what PING notices.
func (r *Run) pinged(client *Host, name Conn) error {
	// A FIN behind a PING in flight would wait for that. On a busy machine the round
	// trip is long, and the PING repeated late.
	repeats := func(s Story) int {
		last := pings(s, timeline.Client).Last()
		return s.After(last.At).Of("retransmission").where(func(e *timeline.Event) bool { return e.Segment != nil && e.Seq == last.Seq }).Len()
	}
	if err := r.Await(name, func(s Story) bool {
		return s.Of("error").Len() > 0 && (r.Name != "gone-ping" || repeats(s) > 0)
	}); err != nil {
		return err
	}
	s, probes, err := client.Seen(name, "TcpExt", "TCPKeepAlive")
	if err != nil {
		return err
	}
	sent, answers := pings(s, timeline.Client), pings(s, timeline.Server)
	took := between(answers.Last(), s.Of("error").First())
	r.Check(probes == 0 && answers.Len() > 0 && sent.Len() == answers.Len()+1 && took >= 2*pingEvery,
		"%s, %d answered, no probe: the client closed %s after the last answer, of which %v was silence and %v waiting.",
		timeline.Count(sent.Len(), "PING"), answers.Len(), timeline.Brief(took), pingEvery, pingEvery)
	last := sent.Last()
	acked := s.By(timeline.Server).where(func(e *timeline.Event) bool { return e.At > last.At && e.Segment != nil && e.Ack == last.Seq+pingSize }).Len() > 0
	again := repeats(s)
	if r.Name == "gone-ping" {
		r.Check(!acked && again > 0, "the last PING was in flight: the client's kernel sent it %s more, and got no acknowledgment.", timeline.Count(again, "time"))
	} else {
		r.Check(acked && again == 0, "the last PING was acknowledged by the server's kernel, which its program did not answer: no timer of TCP's was running.")
	}
	return nil
}

// probedTheGone is what probes notice of a peer that is gone.
func (r *Run) probedTheGone(name Conn, socket *Socket) error {
	plan, err := r.plan(r.Client)
	if err != nil {
		return err
	}
	at, fewest, most := plan.Death()
	if err := r.Await(name, func(s Story) bool { return s.By(timeline.Client).Of("rst").Len() > 0 }); err != nil {
		return err
	}
	s := r.Story(name)
	heard := s.By(timeline.Server).Last()
	probes := s.After(heard.At).Of("probe").Len()
	took := between(heard, s.By(timeline.Client).Of("rst").First())
	r.Check(probes >= fewest && probes <= most && onTime(at, took) && errors.Is(socket.Err(), syscall.ETIMEDOUT) && pings(s, timeline.Client).Len() == 0,
		"%s went unanswered, and the kernel ended the connection %s after the server was last heard, planned was %v: %v.",
		timeline.Count(probes, "probe"), timeline.Brief(took), at, cause(socket.Err()))
	return nil
}

// probedTheHung is what probes do not notice of a program that hangs.
func (r *Run) probedTheHung(client *Host, name Conn, socket *Socket, ask func() error) error {
	before := r.Story(name).Of("probe-answer").Len()
	const turns = 2
	if err := r.Await(name, func(s Story) bool { return s.Of("probe-answer").Len() >= before+turns }); err != nil {
		return err
	}
	err := ask()
	s, sent, countErr := client.Seen(name, "TcpExt", "TCPKeepAlive")
	if countErr != nil {
		return countErr
	}
	answered := s.Of("probe-answer").Len()
	r.Check(s.Of("probe").Len() == sent && answered == sent && pings(s, timeline.Client).Len() == 0,
		"%s, all answered, %d of them by the kernel of a program that hung.", timeline.Count(sent, "probe"), answered-before)
	r.Check(errors.Is(err, context.DeadlineExceeded) && isEstablished(socket.TCPConn), "the connection is ESTABLISHED, and the next request has no answer after %v.", hangs)
	return nil
}

// pings are the packets of one side that carry a PING or its answer and nothing
// else.
func pings(s Story, of timeline.Side) Story {
	return s.By(of).Of("data").where(func(e *timeline.Event) bool { return e.Note == ping || e.Note == pingAck })
}

// The notes of packets that carry a PING frame of HTTP/2, and its answer.
const ping, pingAck = "PING", "PING ACK"

// pingFrame is the note of a packet with this payload, and empty where it carries
// something else, or more.
func pingFrame(payload []byte) string {
	if len(payload) != pingSize {
		return ""
	}
	switch string(payload[:frameHeader]) { // length, type, flags, stream
	case "\x00\x00\x08\x06\x00\x00\x00\x00\x00":
		return ping
	case "\x00\x00\x08\x06\x01\x00\x00\x00\x00":
		return pingAck
	}
	return ""
}

// ask sends a request and reads the response to its end.
func ask(ctx context.Context, t *http.Transport, url string, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// http2Client has a single connection.
type http2Client struct{ socket *Socket }

func (c *http2Client) dialer(h *Host, s tcpka.Settings) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil, err
		}
		conn, err := h.Dial(ctx, s, to)
		if err != nil {
			return nil, err
		}
		if c.socket != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("%s: a second connection", address)
		}
		c.socket = &Socket{Conn: conn, TCPConn: conn}
		if s.Enabled {
			return c.socket, nil
		}
		return &givenUp{Socket: c.socket, run: h.run}, nil
	}
}

// givenUp is a connection that its client closes only for want of an answer, and
// whose end is told: in packets it may never show.
type givenUp struct {
	*Socket
	run  *Run
	once sync.Once
}

func (c *givenUp) Close() error {
	c.once.Do(func() {
		name := Named(c.TCPConn)
		c.run.stage.http(httpka.Event{Kind: httpka.Error, Client: name.a, Server: name.b, Method: "PING", Err: errors.New("no answer")})
	})
	return c.Socket.Close()
}

// The bytes of a frame's header, and of a PING frame (RFC 9113 sections 4.1 and 6.7).
const (
	frameHeader = 9
	pingSize    = frameHeader + 8
)

// hangingListener accepts connections of which the program reads no more once it
// hangs.
type hangingListener struct {
	net.Listener
	hang chan struct{}
}

func (l hangingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &hangingConn{Conn: c, hang: l.hang, closed: make(chan struct{})}, nil
}

type hangingConn struct {
	net.Conn
	hang   chan struct{}
	closed chan struct{}
	once   atomic.Bool
}

// Read hands nothing on once the program hangs.
func (c *hangingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	select {
	case <-c.hang:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (c *hangingConn) Close() error {
	if !c.once.Swap(true) {
		close(c.closed)
	}
	return c.Conn.Close()
}
