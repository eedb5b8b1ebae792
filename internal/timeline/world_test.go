package timeline_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"kax/httpka"
	"kax/internal/timeline"
	"kax/internal/wire"
	"kax/tcpka"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const us = time.Microsecond

// A world has a tracker, the time, and everything the tracker has emitted.
type world struct {
	t       testing.TB
	tracker *timeline.Tracker
	now     time.Time
	packets int
	records []timeline.Record
}

func newWorld(t testing.TB, h timeline.Header) *world {
	w := &world{t: t, now: epoch}
	h.Started = epoch
	w.tracker = timeline.NewTracker(h, w.keep)
	return w
}

func (w *world) keep(r timeline.Record) {
	if r.Event != nil {
		r.Event = r.Event.Clone()
	}
	w.records = append(w.records, r)
}

// keepalive is a header's settings with TCP keepalive of these idle times, 0
// being off.
func keepalive(client, server time.Duration) timeline.Header {
	options := func(idle time.Duration) timeline.Keepalive {
		o := timeline.KeepaliveOptions{
			Keepalive: idle > 0, Idle: timeline.Seconds(idle), Interval: timeline.Seconds(idle), Count: 3,
		}
		return timeline.Keepalive{Asked: o, Effective: o}
	}
	return timeline.Header{Source: timeline.AFPacket, Settings: timeline.Settings{
		ClientTCP: options(client), ServerTCP: options(server),
	}}
}

func (w *world) pass(d time.Duration) { w.now = w.now.Add(d) }

// finish ends the run without a kernel count and returns the summary.
func (w *world) finish() timeline.Summary { return w.finishWith(nil) }

func (w *world) finishWith(kernelProbes *int) timeline.Summary {
	w.t.Helper()
	w.tracker.Finish(0, kernelProbes)
	last := w.records[len(w.records)-1]
	if last.Summary == nil {
		w.t.Fatal("the last record is no summary")
	}
	return *last.Summary
}

func (w *world) conns() []timeline.Conn {
	var conns []timeline.Conn
	for _, r := range w.records {
		if r.Conn != nil {
			conns = append(conns, *r.Conn)
		}
	}
	return conns
}

// conn returns the only connection record.
func (w *world) conn() timeline.Conn {
	w.t.Helper()
	conns := w.conns()
	if len(conns) != 1 {
		w.t.Fatalf("%d connection records, want 1", len(conns))
	}
	return conns[0]
}

// told writes what was emitted, a line a record: events with the number of
// their packet.
func (w *world) told() []string {
	var lines []string
	for _, r := range w.records {
		switch {
		case r.Event != nil:
			e := r.Event
			line := fmt.Sprintf("#%d %s %s", e.Conn, e.Side, e.Kind)
			if e.Packet > 0 {
				line += fmt.Sprintf(" p%d", e.Packet)
			}
			lines = append(lines, line)
		case r.Conn != nil:
			lines = append(lines, fmt.Sprintf("conn #%d %s %s", r.Conn.ID, r.Conn.Close, r.Conn.ClosedBy))
		case r.Step != nil:
			lines = append(lines, "step "+r.Step.Name)
		}
	}
	return lines
}

const (
	fromClient = 0
	fromServer = 1
)

// A talk is a connection whose segments a test makes up.
type talk struct {
	*world
	addr [2]netip.AddrPort
	next [2]uint32 // sequence numbers
	size uint16    // window of what is sent from now on
}

func (w *world) talk(port uint16) *talk {
	loopback := netip.MustParseAddr("127.0.0.1")
	return &talk{
		world: w,
		addr:  [2]netip.AddrPort{netip.AddrPortFrom(loopback, port), netip.AddrPortFrom(loopback, 3000)},
		next:  [2]uint32{1000 * uint32(port), 0xffff_ff00}, // the server's wraps around
		size:  512,
	}
}

// segment sends one, 10 µs after the last.
func (c *talk) segment(side int, flags wire.Flags, seq uint32, length int) {
	c.packets++
	c.tracker.Packet(c.now, c.packets, &wire.Segment{
		Src: c.addr[side], Dst: c.addr[1-side], Seq: seq, Ack: c.next[1-side],
		Flags: flags, Window: c.size, Scale: -1, Len: length,
	})
	c.pass(10 * us)
}

func (c *talk) open() *talk {
	c.segment(fromClient, wire.SYN, c.next[fromClient], 0)
	c.next[fromClient]++
	c.segment(fromServer, wire.SYN|wire.ACK, c.next[fromServer], 0)
	c.next[fromServer]++
	c.ack(fromClient)
	return c
}

func (c *talk) ack(side int) { c.segment(side, wire.ACK, c.next[side], 0) }

// data sends some bytes and has them acknowledged.
func (c *talk) data(side, length int) {
	c.segment(side, wire.PSH|wire.ACK, c.next[side], length)
	c.next[side] += uint32(length)
	c.ack(1 - side)
}

func (c *talk) probe(side, length int) { c.segment(side, wire.ACK, c.next[side]-1, length) }

// answered sends a probe and its answer.
func (c *talk) answered(side int) {
	c.probe(side, 0)
	c.ack(1 - side)
}

func (c *talk) fin(side int) {
	c.segment(side, wire.FIN|wire.ACK, c.next[side], 0)
	c.next[side]++
}

// close ends the connection, side speaking first.
func (c *talk) close(side int) {
	c.fin(side)
	c.fin(1 - side)
	c.ack(side)
}

func (c *talk) rst(side int) { c.segment(side, wire.RST|wire.ACK, c.next[side], 0) }

// tell has a program tell of a message.
func (c *talk) tell(e httpka.Event) {
	e.Client, e.Server = c.addr[fromClient], c.addr[fromServer]
	c.tracker.HTTP(c.now, e)
}

// get sends a request and its response; said is the server's Connection header.
func (c *talk) get(reused bool, said string) {
	c.tell(httpka.Event{Kind: httpka.Request, Method: "GET", Target: "/", Version: "HTTP/1.1", Reused: reused})
	c.data(fromClient, 100)
	c.tell(httpka.Event{Kind: httpka.Response, FromServer: true, Status: 200, Version: "HTTP/1.1", Connection: said})
	c.data(fromServer, 200)
}

// infer tells of a tcp event that no packet shows.
func (c *talk) infer(side int, k tcpka.Kind) {
	c.tracker.Infer(c.now, timeline.Inferred{
		Client: c.addr[fromClient], Server: c.addr[fromServer], FromServer: side == fromServer, Kind: k,
	})
	c.pass(10 * us)
}

// dies has the program of one end see its end.
func (c *talk) dies(side int, d timeline.Death) {
	c.tracker.Dead(c.now, c.addr[fromClient], c.addr[fromServer], side == fromServer, d)
}

// predicted has a kernel that ticks so often, and so plans of both ends.
func predicted(h timeline.Header, hz int) timeline.Header {
	h.Settings.HZ = hz
	return h
}
