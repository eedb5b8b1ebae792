package timeline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kax/internal/timeline"
	"kax/internal/wire"
)

// observed is a world in which nobody tells of HTTP.
func observed(t testing.TB, o timeline.Observing) *world {
	w := &world{t: t, now: epoch}
	w.tracker = timeline.NewObserver(timeline.Header{Source: timeline.File, Started: epoch}, o, w.keep)
	return w
}

// carry sends a segment with bytes, from an offset on that counts from the next
// byte of its side.
func (c *talk) carry(side int, flags wire.Flags, offset int, text string, length int) {
	c.packets++
	c.tracker.Packet(c.now, c.packets, &wire.Segment{
		Src: c.addr[side], Dst: c.addr[1-side], Seq: c.next[side] + uint32(offset), Ack: c.next[1-side],
		Flags: flags, Window: c.size, Scale: -1, Len: length, Payload: []byte(text),
	})
	c.pass(10 * us)
}

// says sends bytes and has them acknowledged.
func (c *talk) says(side int, text string) {
	c.carry(side, wire.PSH|wire.ACK, 0, text, len(text))
	c.next[side] += uint32(len(text))
	c.ack(1 - side)
}

const (
	getA  = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
	okTen = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
)

// heard writes the http events: packet, kind, what, and what was idle.
func (w *world) heard() string {
	var lines []string
	for _, r := range w.records {
		e := r.Event
		if e == nil || e.Lane != timeline.HTTP {
			continue
		}
		line := fmt.Sprintf("p%d %s", e.Packet, e.Kind)
		if e.Request != nil {
			line += " " + e.Target
			if e.Reused {
				line += " reused"
			}
		}
		if e.Response != nil {
			line += fmt.Sprintf(" %d", e.Status)
		}
		if e.Idle > 0 {
			line += " idle " + timeline.Brief(time.Duration(e.Idle))
		}
		if e.Note != "" {
			line += ": " + e.Note
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestCarried(t *testing.T) {
	for _, tt := range []struct {
		name string
		play func(*talk)
		want string
	}{
		{"reuse", func(c *talk) {
			c.open()
			c.says(fromClient, getA)
			c.says(fromServer, okTen)
			c.pass(2 * time.Second)
			c.says(fromClient, getA)
			c.says(fromServer, okTen)
		}, "p4 request /a\np6 response 200\np8 request /a reused idle 2.00 s\np10 response 200"},
		{"probes are no end of the quiet time", func(c *talk) {
			c.open()
			c.says(fromClient, getA)
			c.says(fromServer, okTen)
			c.pass(time.Second)
			c.answered(fromClient)
			c.pass(time.Second)
			c.says(fromClient, getA)
		}, "p4 request /a\np6 response 200\np10 request /a reused idle 2.00 s"},
		{"a head in pieces", func(c *talk) {
			c.open()
			c.says(fromClient, getA)
			c.says(fromServer, okTen)
			c.pass(time.Second)
			c.says(fromClient, getA[:9])
			c.pass(time.Second)
			c.says(fromClient, getA[9:])
		}, "p4 request /a\np6 response 200\np10 request /a reused idle 1.00 s"},
		{"pipelined", func(c *talk) {
			c.open()
			c.says(fromClient, getA+getA)
			c.says(fromServer, okTen+okTen)
		}, "p4 request /a\np4 request /a reused\np6 response 200\np6 response 200"},
		{"out of order", func(c *talk) {
			c.open()
			c.carry(fromClient, wire.ACK, 9, getA[9:], len(getA)-9)
			c.carry(fromClient, wire.ACK, 0, getA[:9], 9)
		}, "p5 request /a"},
		{"sent again, with more", func(c *talk) {
			c.open()
			c.carry(fromClient, wire.ACK, 0, getA[:20], 20)
			c.carry(fromClient, wire.ACK, 0, getA, len(getA))
			c.carry(fromClient, wire.ACK, 0, getA, len(getA))
		}, "p5 request /a"},
		{"bytes that were never captured", func(c *talk) {
			c.open()
			c.says(fromClient, getA)
			c.next[fromServer] += uint32(len(okTen)) // a whole response
			c.ack(fromClient)
			c.says(fromClient, getA)
			c.says(fromServer, okTen)
		}, "p4 request /a\np7 request /a reused idle 30 µs\np9 response 200"},
		{"a body cut by the capture", func(c *talk) {
			c.open()
			c.says(fromClient, getA)
			c.carry(fromServer, wire.ACK, 0, okTen[:len(okTen)-8], len(okTen))
			c.next[fromServer] += uint32(len(okTen))
			c.says(fromClient, getA)
			c.says(fromServer, okTen)
		}, "p4 request /a\np6 response 200\np7 request /a reused idle 10 µs\np9 response 200"},
		{"joined midway", func(c *talk) {
			c.says(fromServer, "the end of a body")
			c.says(fromClient, getA)
			c.says(fromServer, okTen)
			c.says(fromClient, getA)
		}, "p3 request /a: the connection is older than the capture\np5 response 200\np7 request /a reused idle 20 µs"},
		{"the server's idle timeout", func(c *talk) {
			c.open()
			c.says(fromClient, getA)
			c.says(fromServer, okTen)
			c.pass(5 * time.Second)
			c.close(fromServer)
		}, "p4 request /a\np6 response 200\np8 idle-close idle 5.00 s"},
		{"closed after it said so", func(c *talk) {
			c.open()
			c.says(fromClient, getA)
			c.says(fromServer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			c.pass(time.Second)
			c.close(fromServer)
		}, "p4 request /a\np6 response 200"},
		{"closed by the client", func(c *talk) {
			c.open()
			c.says(fromClient, getA)
			c.says(fromServer, okTen)
			c.pass(5 * time.Second)
			c.close(fromClient)
		}, "p4 request /a\np6 response 200"},
		{"the client said close", func(c *talk) {
			c.open()
			c.says(fromClient, "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			c.says(fromServer, okTen)
		}, "p4 request /a\np6 response 200: closes, by the client: Connection: close"},
		{"cut by a reset", func(c *talk) {
			c.open()
			c.says(fromClient, getA)
			c.says(fromServer, okTen[:len(okTen)-5])
			c.rst(fromServer)
		}, "p4 request /a\np6 response 200\np8 error: GET /a: closed inside a message"},
		{"TLS", func(c *talk) {
			c.open()
			c.says(fromClient, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
			c.says(fromServer, "\x16\x03\x03\x00\x7a\x02")
		}, "p4 opaque: TLS: encrypted, no HTTP lane"},
		{"TLS, joined midway", func(c *talk) {
			c.says(fromServer, "\x17\x03\x03\x00\x7a\x02")
		}, "p1 opaque: TLS: encrypted, no HTTP lane (presumed)"},
		{"HTTP/2", func(c *talk) {
			c.open()
			c.says(fromClient, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		}, "p4 opaque: HTTP/2: no HTTP/1 lane"},
		{"a server that speaks first", func(c *talk) {
			c.open()
			c.says(fromServer, "SSH-2.0-OpenSSH_9.2p1\r\n")
			c.says(fromClient, "SSH-2.0-OpenSSH_9.2p1\r\n")
		}, "p4 opaque: not HTTP"},
		{"upgrade", func(c *talk) {
			c.open()
			c.says(fromClient, "GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			c.says(fromServer, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			c.says(fromClient, "\x81\x05hello")
		}, "p4 request /a\np6 upgrade 101"},
		{"the ports again, with no end captured", func(c *talk) {
			c.open()
			c.says(fromClient, getA)
			c.next = [2]uint32{7, 8}
			c.open()
			c.says(fromClient, getA)
		}, "p4 request /a\np9 request /a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := observed(t, timeline.Observing{})
			tt.play(w.talk(40000))
			if got := w.heard(); got != tt.want {
				t.Errorf("heard:\n%s\nwant:\n%s", got, tt.want)
			}
			checkSums(t, w, w.finish())
		})
	}
}

// An observer says what the packets bear out.
func TestObserved(t *testing.T) {
	w := observed(t, timeline.Observing{})
	c := w.talk(40000).open()
	c.says(fromClient, getA)
	c.says(fromServer, okTen)
	for range 3 {
		c.pass(time.Second)
		c.answered(fromClient)
	}
	c.pass(500 * time.Millisecond)
	c.close(fromServer)
	d := w.talk(40001).open()
	d.says(fromClient, "POST /b HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
	d.rst(fromServer)
	sum := w.finish()
	want := []string{
		"None of the 2 requests reused a connection: 2 handshakes (a handshake took 20 µs).",
		"1 request on connection #2 got no response: the server closed before it. A client may send a GET again by itself, and not a POST.",
		"3 probes from the client crossed connection #1, all answered, 1.00 s apart; none carried a byte, and the HTTP server saw none of it: all that it did there was to answer 1 request.",
		"The server closed #1 3.50 s after its last response, its idle timeout, and 500 ms after a probe had been answered: a live peer is not a usable connection.",
	}
	if !slices.Equal(sum.Verdicts, want) {
		t.Errorf("verdicts:\n%s\nwant:\n%s", strings.Join(sum.Verdicts, "\n"), strings.Join(want, "\n"))
	}
}

// Of open connections no more than so many are followed: the one silent for
// longest goes first.
func TestEvicted(t *testing.T) {
	w := observed(t, timeline.Observing{MaxConns: 3})
	var talks []*talk
	for i := range uint16(3) {
		talks = append(talks, w.talk(40000+i).open())
	}
	talks[0].answered(fromClient)
	w.talk(50000).open()
	sum := w.finish()
	var got []string
	for _, c := range w.conns() {
		got = append(got, fmt.Sprintf("#%d %s", c.ID, c.Close))
	}
	if want := []string{"#2 evicted", "#1 open", "#3 open", "#4 open"}; !slices.Equal(got, want) {
		t.Errorf("connections %v, want %v", got, want)
	}
	if sum.Evicted != 1 || sum.Connections != 4 {
		t.Errorf("%+v", sum)
	}
	if text := strings.Join(sum.Verdicts, "\n"); !strings.Contains(text, "1 open connection, silent for longest") {
		t.Error(text)
	}
}

// What is remembered does not grow with the connections that are over.
func TestConnectionsComeAndGo(t *testing.T) {
	w := observed(t, timeline.Observing{NoEvents: true})
	for i := range 20_000 {
		c := w.talk(uint16(i%20_000 + 1))
		c.open()
		c.close(fromClient)
		w.records = w.records[:0]
	}
	if n := w.tracker.Known(); n > 5000 {
		t.Errorf("%d connections are remembered", n)
	}
	if sum := w.finish(); sum.Connections != 20_000 {
		t.Errorf("%d connections", sum.Connections)
	}
}

// With messages, probes and their answers no packet costs an allocation.
func TestPacketsDoNotAllocate(t *testing.T) {
	tracker := timeline.NewObserver(timeline.Header{Source: timeline.File, Started: epoch}, timeline.Observing{}, func(timeline.Record) {})
	w := &world{t: t, tracker: tracker, now: epoch}
	c := w.talk(40000).open()
	segment := wire.Segment{Flags: wire.PSH | wire.ACK, Window: 512, Scale: -1}
	say := func(side int, text []byte) {
		segment.Src, segment.Dst = c.addr[side], c.addr[1-side]
		segment.Seq, segment.Ack, segment.Len, segment.Payload = c.next[side], c.next[1-side], len(text), text
		c.packets++
		tracker.Packet(c.now, c.packets, &segment)
		c.next[side] += uint32(len(text))
		c.pass(10 * us)
	}
	request, response := []byte(getA), []byte(okTen)
	if n := testing.AllocsPerRun(1000, func() {
		say(fromClient, request)
		say(fromServer, response)
		c.ack(fromClient)
		c.pass(time.Second)
		c.answered(fromClient)
	}); n > 0 {
		t.Errorf("%v allocations for 5 packets", n)
	}
}
