package lab

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"kax/internal/timeline"
	"kax/tcpka"
)

// The server's receive buffer, and more than that takes.
const (
	room    = 64 << 10
	tooMuch = 4 * room
)

func zeroWindowLab() Lab {
	return Lab{
		Name:     "zero-window",
		Question: "is this a keepalive probe?",
		Teaches: "A probe without data, one below the next sequence number, may ask either of two things: is the peer still there, or has it room again? " +
			"The bytes are the same. The first is sent when nothing waits to be sent, the second (persist timer) when data waits behind a window of 0: the peer's window tells them apart. " +
			"Behind a closed window no keepalive probe is sent at all.",
		World: "A program that does not read shuts the window: a stopped process, a full disk, a slow consumer. Wireshark calls both kinds Keep-Alive (4.0, 2022). " +
			"The persist timer starts with the retransmission timeout, and doubles up to 2 min (TCP_RTO_MAX, include/net/tcp.h, Linux 6.18, 2025); TCP keepalive has nothing to say in it.",
		Topology: "client ──── server, whose program does not read",
		Settings: Settings{TCP: tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 9}},
		Refuses: func(s Settings) error {
			if s.TCP.UserTimeout > 0 {
				return errors.New("TCP_USER_TIMEOUT ends a connection whose window stays shut, answered or not")
			}
			return nil
		},
		Runs: func(s Settings) []Variant {
			return []Variant{
				{Name: "idle", Text: "the client has nothing to send", Client: s.TCP},
				{Name: "full", Text: "the client has more to send than the server's buffer takes", Client: s.TCP},
			}
		},
		Run: zeroWindow,
	}
}

func zeroWindow(b *Bench) error {
	probes := make([]Story, len(b.Runs))
	err := b.Each(func(r *Run) (err error) {
		probes[r.index], err = askForRoom(r)
		return err
	})
	if err != nil {
		return err
	}
	n, forms := 0, map[string]struct{}{}
	for _, s := range probes {
		n += s.By(timeline.Client).Len()
		una := s.By(timeline.Server).Last().Ack
		for _, q := range s.By(timeline.Client).Events {
			forms[fmt.Sprintf("flags %s, %d bytes of data, sequence number %d below the next", q.Flags, q.Len, una-q.Seq)] = struct{}{}
		}
	}
	b.Check(len(forms) == 1, "all %d probes have one form: %s.", n, strings.Join(slices.Sorted(maps.Keys(forms)), "; "))
	return nil
}

// askForRoom returns the probes of a run and their answers.
func askForRoom(r *Run) (Story, error) {
	client, server, err := r.Pair()
	if err != nil {
		return Story{}, err
	}
	// As little room whatever the machine's settings: tcp(7).
	if err := server.Sysctl("ipv4/tcp_rmem", fmt.Sprintf("4096 %d %[1]d", room)); err != nil {
		return Story{}, err
	}
	l, err := server.Listen(r.Server)
	if err != nil {
		return Story{}, err
	}
	c, err := client.Dial(r.ctx, r.Client, server.At())
	if err != nil {
		return Story{}, err
	}
	peer, err := l.AcceptTCP()
	if err != nil {
		return Story{}, err
	}
	name := Named(c)
	r.Step(r.Name, "#%d: %s", r.Story(name).N, r.Text)
	plan, err := r.plan(r.Client)
	if err != nil {
		return Story{}, err
	}
	sent := make(chan error, 1)
	if r.Name == "full" {
		go func() {
			_, err := c.Write(make([]byte, tooMuch))
			sent <- err
		}()
	}
	if err := r.Sleep(plan.First().Latest + plan.Every().Latest + slack); err != nil {
		return Story{}, err
	}
	// On a busy machine the round trip, and with it the first wait, may be long.
	if err := r.Await(name, func(s Story) bool { return s.Of("probe-answer", "window-probe-answer").Len() >= 2 }); err != nil {
		return Story{}, err
	}
	keepalive, err := client.Count("TcpExt", "TCPKeepAlive")
	if err != nil {
		return Story{}, err
	}
	persist, err := client.Count("TcpExt", "TCPWinProbe")
	if err != nil {
		return Story{}, err
	}
	s := r.Story(name)
	probes, windowProbes := s.Of("probe"), s.Of("window-probe")
	answers := s.Of("probe-answer", "window-probe-answer")
	// What is sent between counting and looking is only in the packets.
	seen := fmt.Sprintf("%s and %s; TCPKeepAlive is %d and TCPWinProbe %d; in the answers the server's window is %d bytes.",
		timeline.Count(probes.Len(), "keepalive probe"), timeline.Count(windowProbes.Len(), "zero-window probe"), keepalive, persist, answers.Last().Window)
	if r.Name == "idle" {
		r.Check(keepalive >= 2 && probes.Len() >= keepalive && persist == 0 && windowProbes.Len() == 0 && answers.Last().Window > 0, "%s", seen)
	} else {
		r.Check(persist >= 2 && windowProbes.Len() >= persist && keepalive == 0 && probes.Len() == 0 && answers.Len() > 0 && answers.Last().Window == 0, "%s", seen)
		if err := r.drain(peer, name, sent); err != nil {
			return Story{}, err
		}
	}
	return s.Of("probe", "window-probe", "probe-answer", "window-probe-answer"), nil
}

// drain has the server's program read what the client sends.
func (r *Run) drain(c net.Conn, name Conn, sent <-chan error) error {
	r.Step(r.Name, "#%d: the server's program reads", r.Story(name).N)
	got, err := io.CopyN(io.Discard, c, tooMuch)
	if err = errors.Join(err, <-sent); err != nil {
		return err
	}
	window := r.Story(name).By(timeline.Server).Last().Window
	r.Check(window > 0, "when the server's program reads, its window opens (%d bytes), and all %d bytes arrive.", window, got)
	return nil
}
