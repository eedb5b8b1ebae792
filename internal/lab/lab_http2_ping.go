package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

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
		Teaches: "It has a third mechanism: PING frames, sent and answered by the programs (RFC 9113 section 6.7). They are bytes on the connection. " +
			"Probes ask whether the peer's kernel is there, a PING whether its program is: of a program that hangs the kernel goes on answering probes, and only PING notices.",
		World: "Go's client sends none unless HTTP2Config.SendPingTimeout is set, and then waits 15 s for the answer; gRPC calls its PINGs keepalive, and servers may refuse too many (ENHANCE_YOUR_CALM). " +
			"Here it is a PING after 1 s of silence, and 1 s for the answer.",
		Topology: "client ──── server, whose program hangs",
		Settings: Settings{TCP: tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 3}},
		Runs: func(s Settings) []Variant {
			return []Variant{
				{Name: "probes", Text: "TCP keepalive on the client, no PING", Client: s.TCP},
				{Name: "ping", Text: "PING from the client, no TCP keepalive"},
			}
		},
		Run: func(b *Bench) error { return b.Each(http2Ping) },
	}
}

func http2Ping(r *Run) error {
	client, server, err := r.Pair()
	if err != nil {
		return err
	}
	l, err := server.Listen(tcpka.Settings{})
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
	name := Named(asker.socket.TCPConn)
	r.Step(r.Name, "#%d: %s; idle", r.Story(name).N, r.Text)
	// Both mechanisms have had their turn when this many answers have come.
	const turns = 2
	if err := r.Await(name, func(s Story) bool {
		return s.Of("probe-answer").Len() >= turns || asker.socket.pings.Load() > turns
	}); err != nil {
		return err
	}
	close(hang)
	r.Step(r.Name, "#%d: the server's program hangs; its kernel does not", r.Story(name).N)
	hung := r.Story(name)
	if r.Client.Enabled {
		if err := r.Await(name, func(s Story) bool { return s.Of("probe-answer").Len() >= hung.Of("probe-answer").Len()+turns }); err != nil {
			return err
		}
		err := ask(r.ctx, t, server.URL("/"), hangs)
		s, sent, countErr := client.Seen(name, "TcpExt", "TCPKeepAlive")
		if countErr != nil {
			return countErr
		}
		r.Check(s.Of("probe").Len() == sent && s.Of("probe-answer").Len() == sent && asker.socket.pings.Load() == 0,
			"%s, all answered, %d of them while the program hung.", timeline.Count(sent, "probe"), sent-hung.Of("probe").Len())
		r.Check(err != nil && isEstablished(asker.socket.TCPConn), "the connection is ESTABLISHED, and the next request has no answer after %v.", hangs)
		return nil
	}
	if err := r.Await(name, func(s Story) bool { return s.By(timeline.Client).Of("fin", "rst").Len() > 0 }); err != nil {
		return err
	}
	s := r.Story(name)
	end := s.By(timeline.Client).Of("fin", "rst").First()
	heard := s.By(timeline.Server).Of("data").Last()
	sent, err := client.Count("TcpExt", "TCPKeepAlive")
	if err != nil {
		return err
	}
	pings := int(asker.socket.pings.Load())
	r.Check(pings > turns && sent == 0, "%s from the client, and no probe.", timeline.Count(pings, "PING"))
	r.Check(between(heard, end) >= pingEvery, "the last was not answered: the client closed by %s %s after the server's program was last heard, of which %v was silence and %v waiting.",
		kindName(end), timeline.Brief(between(heard, end)), pingEvery, pingEvery)
	return nil
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
type http2Client struct{ socket *pingSocket }

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
		c.socket = &pingSocket{TCPConn: conn}
		return c.socket, nil
	}
}

// pingSocket counts the PING frames that its program sends.
type pingSocket struct {
	*net.TCPConn
	pings atomic.Int32
}

// A frame's header and a PING's bytes, and its type (RFC 9113 sections 4.1 and 6.7).
const (
	pingSize = 9 + 8
	typePing = 6
)

func (s *pingSocket) Write(b []byte) (int, error) {
	if len(b) == pingSize && b[3] == typePing && b[4] == 0 { // no acknowledgment
		s.pings.Add(1)
	}
	return s.TCPConn.Write(b)
}

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
