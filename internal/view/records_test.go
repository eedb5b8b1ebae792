package view_test

import (
	"net/netip"
	"strings"
	"time"

	"kax/internal/timeline"
)

func at(ms float64) timeline.Seconds {
	return timeline.Seconds(time.Duration(ms * float64(time.Millisecond)).Round(time.Microsecond))
}

var (
	clientAddr = netip.MustParseAddrPort("127.0.0.1:40000")
	serverAddr = netip.MustParseAddrPort("127.0.0.1:3000")
)

// A story builds records as a tracker would.
type story struct {
	records []timeline.Record
	packet  int
}

func (s *story) event(e timeline.Event) {
	s.records = append(s.records, timeline.Record{Event: &e})
}

// tcp adds a packet's event, carried being what it carries.
func (s *story) tcp(ms float64, side timeline.Side, kind, flags string, seq, ack uint32, length int, more timeline.Event, carried ...timeline.Event) {
	s.packet++
	for _, e := range carried {
		e.At, e.Conn, e.Lane, e.Side, e.Packet = at(ms), 1, timeline.HTTP, side, s.packet
		s.event(e)
	}
	src, dst := clientAddr, serverAddr
	if side == timeline.Server {
		src, dst = dst, src
	}
	more.At, more.Conn, more.Lane, more.Side, more.Kind, more.Packet = at(ms), 1, timeline.TCP, side, kind, s.packet
	more.Segment = &timeline.Segment{Src: src, Dst: dst, Seq: seq, Ack: ack, Len: length, Window: 65536, Flags: flags}
	s.event(more)
}

func request(method, target, connection string, reused bool, idle timeline.Seconds) timeline.Event {
	return timeline.Event{
		Kind: "request", Idle: idle,
		Message: &timeline.Message{Version: "HTTP/1.1", Connection: connection},
		Request: &timeline.Request{Method: method, Target: target, Reused: reused},
	}
}

func response(status int, version, connection, keepAlive string) timeline.Event {
	kind := "response"
	if status < 200 {
		kind = "interim"
	}
	return timeline.Event{
		Kind:     kind,
		Message:  &timeline.Message{Version: version, Connection: connection, KeepAlive: keepAlive},
		Response: &timeline.Response{Status: status},
	}
}

// everyKind is a story in which each kind occurs.
func everyKind() []timeline.Record {
	const c, v = timeline.Client, timeline.Server
	on := timeline.KeepaliveOptions{Keepalive: true, Idle: at(1000), Interval: at(1000), Count: 3}
	read := on
	read.UserTimeout = at(2500)
	s := &story{}
	s.records = append(s.records, timeline.Record{Header: &timeline.Header{
		Schema: timeline.Schema, Version: "v1.2.3", Command: "demo",
		Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Source: timeline.UserNS,
		Settings: timeline.Settings{
			Private: true, Server: serverAddr.String(),
			ClientTCP: timeline.Keepalive{Asked: on, Effective: read},
			HTTPSettings: &timeline.HTTPSettings{
				Reuse: true, CloseWith: "fin", IdleTimeout: at(4000), Pauses: []timeline.Seconds{at(2500), at(500)},
			},
		},
	}}, timeline.Record{Step: &timeline.Step{Name: "keep", Text: "3 requests with pauses of 2.5s, 500ms; the server keeps the connection"}})
	s.tcp(0, c, "syn", "S", 1000, 0, 0, timeline.Event{})
	s.tcp(0.02, v, "syn-ack", "SA", 5000, 1001, 0, timeline.Event{})
	s.tcp(0.046, c, "established", "A", 1001, 5001, 0, timeline.Event{After: at(0.046)})
	s.tcp(1, c, "data", "PA", 1001, 5001, 99, timeline.Event{}, request("GET", "/keep", "", false, 0))
	s.tcp(1.01, v, "ack", "A", 5001, 1100, 0, timeline.Event{})
	s.tcp(1.2, v, "data", "PA", 5001, 1100, 25, timeline.Event{}, response(100, "HTTP/1.1", "", ""))
	s.tcp(1.3, v, "data", "PA", 5026, 1100, 119, timeline.Event{}, response(200, "HTTP/1.1", "keep-alive", "timeout=4, max=100"))
	s.tcp(1.31, c, "ack", "A", 1100, 5145, 0, timeline.Event{})
	s.tcp(1024.117, c, "probe", "A", 1099, 5145, 0, timeline.Event{Nth: 1, Idle: at(1022.8)})
	s.tcp(1024.148, v, "probe-answer", "A", 5145, 1100, 0, timeline.Event{Nth: 1, After: at(0.031)})
	s.tcp(1500, c, "window-probe", "A", 1099, 5145, 0, timeline.Event{})
	s.tcp(1500.1, v, "window-probe-answer", "A", 5145, 1100, 0, timeline.Event{})
	s.tcp(2506.2, c, "data", "PA", 1100, 5145, 99, timeline.Event{}, request("GET", "/keep?a=rather&long=target", "close", true, at(2504.9)))
	s.tcp(2700, c, "retransmission", "PA", 1100, 5145, 99, timeline.Event{})
	s.tcp(2701, v, "data", "PA", 5145, 1199, 99, timeline.Event{}, response(200, "HTTP/1.0", "", ""))
	s.event(timeline.Event{At: at(2702), Conn: 1, Lane: timeline.HTTP, Kind: "error", Side: c, Note: "read tcp 127.0.0.1:40000: connection reset by peer"})
	s.event(timeline.Event{At: at(2702.5), Conn: 2, Lane: timeline.HTTP, Kind: "retry", Side: c})
	s.event(timeline.Event{At: at(2703), Conn: 2, Lane: timeline.TCP, Kind: "established", Side: c}) // inferred
	s.event(timeline.Event{At: at(2704), Conn: 2, Lane: timeline.TCP, Kind: "data", Side: c, Note: "99 bytes"})
	s.records = append(s.records, timeline.Record{Step: &timeline.Step{Name: "idle", Text: "nobody asks any more"}})
	s.tcp(6701, v, "fin", "FA", 5244, 1199, 0, timeline.Event{}, timeline.Event{Kind: "idle-close", Idle: at(4000)})
	s.tcp(6701.5, c, "fin", "FPA", 1199, 5245, 7, timeline.Event{})
	s.tcp(6702, v, "rst", "R", 5245, 0, 0, timeline.Event{})
	s.event(timeline.Event{At: at(6703), Conn: 1, Lane: timeline.TCP, Kind: "timeout", Side: c})
	kernel := 1
	s.records = append(s.records,
		timeline.Record{Conn: &timeline.Conn{
			ID: 1, Client: clientAddr, Server: serverAddr, Requests: 2, Reused: 1, Probes: 1, Answered: 1,
			ClosedBy: v, Close: timeline.ByFIN, Ended: at(6703),
		}},
		timeline.Record{Conn: &timeline.Conn{ID: 2, Client: clientAddr, Server: serverAddr, Close: timeline.NotYet, Opened: at(2703), Ended: at(2704)}},
		timeline.Record{Conn: &timeline.Conn{ID: 3, Client: clientAddr, Server: serverAddr, Probes: 3, ClosedBy: c, Close: timeline.Timeout, Opened: at(2703), Ended: at(130_000)}},
		timeline.Record{Summary: &timeline.Summary{
			Packets: s.packet, Dropped: 1, Connections: 3, Requests: 2, Reused: 1, Answered: 1, KernelProbes: &kernel,
			Events: map[string]int{"probe": 1, "data": 6},
			Verdicts: []string{
				"2 requests used connection #1: 1 handshake saved (a handshake took 46 µs here; over a network it costs a round trip).",
				"The kernel's own counter (TCPKeepAlive) rose by 1: no probe is missing here.",
			},
		}})
	return s.records
}

// asked is a run of requests, of every sort.
func asked() []timeline.Record {
	plain := timeline.Message{Version: "HTTP/1.1"}
	url := "https://127.0.0.1:3000/keep"
	records := []timeline.Record{{Header: &timeline.Header{
		Schema: timeline.Schema, Version: "v1.2.3", Command: "http request", Source: timeline.AFPacket,
		Settings: timeline.Settings{
			Server: "127.0.0.1:3000", HTTPSettings: &timeline.HTTPSettings{Reuse: true, Pauses: []timeline.Seconds{at(500)}},
			RequestSettings: &timeline.RequestSettings{Requests: 5, Concurrency: 2, PoolSize: 2, PoolIdle: at(90_000)},
		},
	}}}
	for _, e := range []timeline.Exchange{
		{N: 2, Conn: 1, Nth: 2, Status: 200, Reused: true, Idle: at(500), Saved: at(1.5), FirstByte: at(0.4), Got: timeline.Message{Version: "HTTP/1.1", Connection: "close", KeepAlive: "max=1"}},
		{N: 1, Conn: 1, Nth: 1, Status: 200, Why: "first", Because: "the first request to this server", Connect: at(0.5), TLS: at(1), FirstByte: at(0.6), Got: plain},
		{N: 3, Conn: 2, Nth: 1, Status: 302, Why: "server-close", WhyConn: 1, Because: "the server said Connection: close on #1 after 2 requests", Connect: at(0.5), TLS: at(1), FirstByte: at(0.6),
			Got: timeline.Message{Version: "HTTP/1.0"}, Location: "/there", Retried: true},
		{N: 4, Error: "dial tcp 127.0.0.1:3000: connect: connection refused"},
	} {
		e.Method, e.URL, e.Sent = "GET", url, plain
		records = append(records, timeline.Record{Exchange: &e})
	}
	return append(records, timeline.Record{Summary: &timeline.Summary{Connections: 2, Requests: 3, Reused: 1, Verdicts: []string{"4 requests over 2 connections."}}})
}

// labRecords are a lab's, of which not everything held.
func labRecords() []timeline.Record {
	on := timeline.KeepaliveOptions{Keepalive: true, Idle: at(1000), Interval: at(1000), Count: 3}
	lab := timeline.LabSettings{Lab: "vanish", Question: "who notices a peer that is gone?", Topology: "client ──── server\n            gone", Runs: []timeline.LabRun{
		{Name: "with", Text: "TCP keepalive on the client", ClientTCP: &timeline.Keepalive{Asked: on, Effective: on}},
		{Name: "without", Text: "no TCP keepalive", ClientTCP: &timeline.Keepalive{}},
	}}
	return []timeline.Record{
		{Header: &timeline.Header{
			Schema: timeline.Schema, Version: "v1.2.3", Command: "lab run vanish", Source: timeline.UserNS,
			Settings: timeline.Settings{Private: true, HTTPSettings: &timeline.HTTPSettings{IdleTimeout: at(3000)}, LabSettings: &lab},
		}},
		{Step: &timeline.Step{Name: "with", Text: "#1: the server is gone"}},
		{Lab: &timeline.Lab{Name: lab.Lab, Question: lab.Question, LabResult: &timeline.LabResult{Checks: []timeline.Check{
			{Text: "with: 3 probes went unanswered, of 3 planned, and that is a sentence of more than one line.", Held: true},
			{Text: "without: the next request was answered."},
		}, Lasted: at(7000)}}},
		{Summary: &timeline.Summary{Verdicts: []string{"with: 3 probes"}}},
	}
}

const hostile = "\x1b[31m\x07\r\n\x00\x7f\u009b2J\u202e\u2066\xff\xc3\U000e0041é"

// hostileRecords has such text wherever a record has text.
func hostileRecords() []timeline.Record {
	side, kind := timeline.Side(hostile), hostile
	s := &story{}
	s.records = append(s.records,
		timeline.Record{Header: &timeline.Header{
			Command: hostile, Version: hostile, Source: timeline.Source(hostile),
			Settings: timeline.Settings{Server: hostile, HTTPSettings: &timeline.HTTPSettings{CloseWith: hostile}},
		}},
		timeline.Record{Step: &timeline.Step{Name: hostile, Text: hostile}})
	bad := timeline.Message{Version: hostile, Connection: hostile, KeepAlive: hostile}
	s.tcp(1, side, kind, hostile, 1, 1, 1, timeline.Event{Note: hostile},
		timeline.Event{Kind: kind, Message: &bad, Request: &timeline.Request{Method: hostile, Target: hostile}},
		timeline.Event{Kind: kind, Message: &bad, Response: &timeline.Response{Status: 200}},
		timeline.Event{Kind: kind, Note: hostile})
	for _, k := range append(timeline.Kinds(), kind) {
		s.event(timeline.Event{Conn: 1, Lane: timeline.TCP, Kind: k, Side: side, Note: hostile})
		s.event(timeline.Event{Conn: 1, Lane: timeline.HTTP, Kind: k, Side: side, Note: hostile, Message: &bad})
	}
	s.records = append(s.records,
		timeline.Record{Exchange: &timeline.Exchange{
			N: 1, Conn: 1, Method: hostile, URL: hostile, Sent: bad, Got: bad, Status: 302, Why: hostile, Because: hostile, Location: hostile, Error: hostile,
		}},
		timeline.Record{Header: &timeline.Header{Settings: timeline.Settings{LabSettings: &timeline.LabSettings{
			Lab: hostile, Question: hostile, Topology: hostile + strings.Repeat("─", 300), Runs: []timeline.LabRun{{Name: hostile, Text: hostile}},
		}}}},
		timeline.Record{Lab: &timeline.Lab{Name: hostile, Question: hostile, LabResult: &timeline.LabResult{Checks: []timeline.Check{{Text: hostile}}, Error: hostile}}},
		timeline.Record{Conn: &timeline.Conn{ID: 1, ClosedBy: side, Close: timeline.CloseHow(hostile)}},
		timeline.Record{Summary: &timeline.Summary{Events: map[string]int{hostile: 1}, Verdicts: []string{hostile}}})
	return s.records
}
