package timeline_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"kax/httpka"
	"kax/internal/timeline"
	"kax/internal/wire"
	"kax/tcpka"
)

// checkTold compares what was emitted to lines.
func checkTold(t *testing.T, w *world, want string) {
	t.Helper()
	got, lines := w.told(), strings.Split(strings.TrimSpace(strings.ReplaceAll(want, "\t", "")), "\n")
	if !slices.Equal(got, lines) {
		t.Errorf("told:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

// A request, quiet with probes, a second request, and the idle timeout.
func TestStory(t *testing.T) {
	w := newWorld(t, keepalive(time.Second, 0))
	w.tracker.Step(w.now, "keep", "two requests")
	c := w.talk(40000).open()
	c.get(false, "")
	for range 2 {
		w.pass(1020 * time.Millisecond)
		c.answered(fromClient)
	}
	w.pass(500 * time.Millisecond)
	c.get(true, "")
	w.pass(time.Second)
	c.tell(httpka.Event{Kind: httpka.IdleClose, FromServer: true, Idle: time.Second})
	c.close(fromServer)
	checkTold(t, w, `step keep
		#1 client syn p1
		#1 server syn-ack p2
		#1 client established p3
		#1 client request p4
		#1 client data p4
		#1 server ack p5
		#1 server response p6
		#1 server data p6
		#1 client ack p7
		#1 client probe p8
		#1 server probe-answer p9
		#1 client probe p10
		#1 server probe-answer p11
		#1 client request p12
		#1 client data p12
		#1 server ack p13
		#1 server response p14
		#1 server data p14
		#1 client ack p15
		#1 server idle-close p16
		#1 server fin p16
		#1 client fin p17
		#1 server ack p18
		conn #1 fin server`)

	var probes, answers []timeline.Event
	for _, r := range w.records {
		if e := r.Event; e != nil && e.Kind == "probe" {
			probes = append(probes, *e)
		} else if e != nil && e.Kind == "probe-answer" {
			answers = append(answers, *e)
		}
	}
	// Idle counts from the last data, not from the last probe.
	if got, want := probes[0].Idle, timeline.Seconds(1020*time.Millisecond+20*us); got != want {
		t.Errorf("first probe after %v, want %v", time.Duration(got), time.Duration(want))
	}
	if got, want := probes[1].Idle, timeline.Seconds(2040*time.Millisecond+40*us); got != want {
		t.Errorf("second probe after %v, want %v", time.Duration(got), time.Duration(want))
	}
	for i := range probes {
		if probes[i].Nth != i+1 || answers[i].Nth != i+1 || answers[i].After != timeline.Seconds(10*us) {
			t.Errorf("probe %d, answered %d after %v", probes[i].Nth, answers[i].Nth, time.Duration(answers[i].After))
		}
	}
	sum := w.finish()
	want := timeline.Conn{
		ID: 1, Client: c.addr[fromClient], Server: c.addr[fromServer],
		Requests: 2, Reused: 1, Probes: 2, Answered: 2,
		ClosedBy: timeline.Server, Close: timeline.ByFIN, Opened: 0, Ended: timeline.Seconds(3540*time.Millisecond + 170*us),
	}
	if got := w.conn(); got != want {
		t.Errorf("connection %+v\nwant %+v", got, want)
	}
	if sum.Packets != 18 || sum.Connections != 1 || sum.Requests != 2 || sum.Reused != 1 || sum.Answered != 2 {
		t.Errorf("summary %+v", sum)
	}
	events := map[string]int{
		"syn": 1, "syn-ack": 1, "established": 1, "data": 4, "ack": 5, "probe": 2, "probe-answer": 2, "fin": 2,
		"request": 2, "response": 2, "idle-close": 1,
	}
	if !maps.Equal(sum.Events, events) {
		t.Errorf("events %v\nwant   %v", sum.Events, events)
	}
}

// The http event has the time of its packet; established the handshake's.
func TestTimes(t *testing.T) {
	w := newWorld(t, keepalive(0, 0))
	c := w.talk(40000).open()
	tellRequest(c)
	w.pass(3 * time.Millisecond)
	c.data(fromClient, 10)
	for _, r := range w.records {
		switch e := r.Event; {
		case e == nil:
		case e.Kind == "established" && e.After != timeline.Seconds(20*us):
			t.Errorf("open after %v", time.Duration(e.After))
		case (e.Kind == "request" || e.Kind == "data") && e.At != timeline.Seconds(3*time.Millisecond+30*us):
			t.Errorf("%s at %v, told before its packet", e.Kind, time.Duration(e.At))
		}
	}
}

func tellRequest(c *talk) {
	c.tell(httpka.Event{Kind: httpka.Request, Method: "GET", Target: "/", Version: "HTTP/1.1"})
}

func TestLinks(t *testing.T) {
	request := httpka.Event{Kind: httpka.Request, Method: "GET", Target: "/", Version: "HTTP/1.1"}
	response := httpka.Event{Kind: httpka.Response, FromServer: true, Status: 200, Version: "HTTP/1.1"}
	for _, test := range []struct {
		name string
		do   func(*talk)
		want string // what comes after the handshake
	}{
		{"a probe carries nothing", func(c *talk) {
			c.data(fromClient, 5)
			c.tell(request)
			c.pass(time.Second)
			c.probe(fromClient, 1)
			c.ack(fromServer)
			c.data(fromClient, 100)
		}, `#1 client data p4
			#1 server ack p5
			#1 client probe p6
			#1 server probe-answer p7
			#1 client request p8
			#1 client data p8
			#1 server ack p9
			conn #1 open `},
		{"the other side's data carries nothing", func(c *talk) {
			c.tell(request)
			c.data(fromServer, 100)
			c.data(fromClient, 100)
		}, `#1 server data p4
			#1 client ack p5
			#1 client request p6
			#1 client data p6
			#1 server ack p7
			conn #1 open `},
		{"told together, carried in turn", func(c *talk) {
			c.tell(request)
			c.tell(response)
			c.data(fromServer, 100)
			c.data(fromClient, 100)
		}, `#1 server response p4
			#1 server data p4
			#1 client ack p5
			#1 client request p6
			#1 client data p6
			#1 server ack p7
			conn #1 open `},
		{"the FIN carries the response", func(c *talk) {
			c.tell(response)
			c.segment(fromServer, wire.FIN|wire.ACK, c.next[fromServer], 100)
			c.next[fromServer] += 101
			c.fin(fromClient)
			c.ack(fromServer)
		}, `#1 server response p4
			#1 server fin p4
			#1 client fin p5
			#1 server ack p6
			conn #1 fin server`},
		{"never captured: told at the end", func(c *talk) {
			c.tell(request)
			c.tell(response)
			c.rst(fromServer)
		}, `#1 server rst p4
			#1 client request
			#1 server response
			conn #1 rst server`},
		{"idle close by RST", func(c *talk) {
			c.tell(httpka.Event{Kind: httpka.IdleClose, FromServer: true, Idle: time.Second})
			c.data(fromServer, 10) // the last response's, perhaps
			c.rst(fromServer)
		}, `#1 server data p4
			#1 client ack p5
			#1 server idle-close p6
			#1 server rst p6
			conn #1 rst server`},
		{"an error is told at once", func(c *talk) {
			c.tell(httpka.Event{Kind: httpka.Error, Err: errors.New("broken")})
			c.data(fromServer, 10)
		}, `#1 client error
			#1 server data p4
			#1 client ack p5
			conn #1 open `},
		{"told after the end", func(c *talk) {
			c.rst(fromServer)
			c.tell(request)
			c.tell(httpka.Event{Kind: httpka.Error})
		}, `#1 server rst p4
			conn #1 rst server
			#1 client request
			#1 client error`},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, keepalive(0, 0))
			test.do(w.talk(40000).open())
			sum := w.finish()
			want := "#1 client syn p1\n#1 server syn-ack p2\n#1 client established p3\n" + strings.ReplaceAll(test.want, "\t", "")
			if got := strings.Join(w.told(), "\n"); got != want {
				t.Errorf("told:\n%s\nwant:\n%s", got, want)
			}
			checkSums(t, w, sum)
		})
	}
}

// wire and tcpka know nothing of each other, and name the same bits.
func TestFlags(t *testing.T) {
	for bit, flag := range map[wire.Flags]tcpka.Flags{
		wire.FIN: tcpka.FlagFIN, wire.SYN: tcpka.FlagSYN, wire.RST: tcpka.FlagRST,
		wire.PSH: tcpka.FlagPSH, wire.ACK: tcpka.FlagACK,
	} {
		if uint8(bit) != uint8(flag) {
			t.Errorf("%s is %#x in wire and %#x in tcpka", bit, bit, flag)
		}
	}
}

// checkSums holds the totals against the records they sum up.
func checkSums(t testing.TB, w *world, sum timeline.Summary) {
	t.Helper()
	var conns, requests, reused, answered, probes, probed int
	events, ids := map[string]int{}, map[int]bool{}
	for _, r := range w.records {
		if c := r.Conn; c != nil {
			if ids[c.ID] {
				t.Errorf("connection #%d has two records", c.ID)
			}
			ids[c.ID] = true
			conns++
			requests += c.Requests
			reused += c.Reused
			answered += c.Answered
			probes += c.Probes
		}
		if r.Event != nil {
			events[r.Event.Kind]++
			if r.Event.Kind == "probe" && !ids[r.Event.Conn] { // a stray one is nobody's
				probed++
			}
		}
	}
	if sum.Connections != conns || sum.Requests != requests || sum.Reused != reused || sum.Answered != answered || probed != probes {
		t.Errorf("summary %+v and %d probes, but the connections have: %d, %d requests, %d reused, %d answered, %d probes",
			sum, probed, conns, requests, reused, answered, probes)
	}
	if !maps.Equal(sum.Events, events) {
		t.Errorf("summary has events %v, emitted were %v", sum.Events, events)
	}
	if sum.Packets != w.packets {
		t.Errorf("%d packets, want %d", sum.Packets, w.packets)
	}
	if n := len(sum.Verdicts); n > 6 {
		t.Errorf("%d verdicts", n)
	}
}

func TestEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*talk)
		how  timeline.CloseHow
		by   timeline.Side
	}{
		{"open", func(c *talk) {}, timeline.NotYet, ""},
		{"half closed", func(c *talk) { c.fin(fromClient); c.ack(fromServer) }, timeline.ByFIN, timeline.Client},
		{"the client closes", func(c *talk) { c.close(fromClient) }, timeline.ByFIN, timeline.Client},
		{"the server closes", func(c *talk) { c.close(fromServer) }, timeline.ByFIN, timeline.Server},
		{"the client resets", func(c *talk) { c.rst(fromClient) }, timeline.ByRST, timeline.Client},
		{"FIN, then RST", func(c *talk) { c.fin(fromServer); c.rst(fromClient) }, timeline.ByFIN, timeline.Server},
		{"given up", func(c *talk) { c.probe(fromClient, 0); c.probe(fromClient, 0); c.rst(fromClient) }, timeline.Timeout, timeline.Client},
		{"the peer has rebooted", func(c *talk) { c.probe(fromClient, 0); c.rst(fromServer) }, timeline.ByRST, timeline.Server},
		{"answered, then reset", func(c *talk) { c.probe(fromClient, 0); c.answered(fromClient); c.rst(fromClient) }, timeline.ByRST, timeline.Client},
		// A probe may get lost between two that live.
		{"heard of since, then reset", func(c *talk) { c.probe(fromClient, 0); c.data(fromServer, 1); c.rst(fromClient) }, timeline.ByRST, timeline.Client},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, keepalive(time.Second, time.Second))
			c := w.talk(40000).open()
			c.data(fromClient, 10)
			test.do(c)
			checkSums(t, w, w.finish())
			if got := w.conn(); got.Close != test.how || got.ClosedBy != test.by {
				t.Errorf("closed %q by %q, want %q by %q", got.Close, got.ClosedBy, test.how, test.by)
			}
		})
	}
}

// The same ports again are another connection; stray packets are none.
func TestPortsAgain(t *testing.T) {
	w := newWorld(t, keepalive(0, 0))
	c := w.talk(40000).open()
	c.get(false, "close")
	c.close(fromServer)
	c.ack(fromClient) // a stray one
	c.answered(fromClient)
	c.rst(fromServer)
	again := w.talk(40000)
	again.next[fromClient] += 500_000
	again.open()
	again.get(false, "close")
	again.close(fromServer)
	sum := w.finish()
	checkSums(t, w, sum)
	conns := w.conns()
	if len(conns) != 2 || conns[0].Requests != 1 || conns[1].Requests != 1 {
		t.Fatalf("connections: %+v", conns)
	}
	if conns[0].Close != timeline.ByFIN || conns[0].ClosedBy != timeline.Server {
		t.Errorf("the stray packets changed how it closed: %+v", conns[0])
	}
	if sum.Requests != 2 || sum.Reused != 0 {
		t.Errorf("summary: %+v", sum)
	}
}

// Both ends probe, each by its own count.
func TestBothProbe(t *testing.T) {
	w := newWorld(t, keepalive(time.Second, time.Second))
	c := w.talk(40000).open()
	c.data(fromClient, 10)
	c.answered(fromClient)
	c.answered(fromClient)
	c.answered(fromServer)
	// Two that cross.
	c.probe(fromClient, 0)
	c.probe(fromServer, 0)
	c.ack(fromServer)
	c.ack(fromClient)
	var got []string
	for _, r := range w.records {
		if e := r.Event; e != nil && strings.HasPrefix(e.Kind, "probe") {
			got = append(got, string(e.Side)+" "+e.Kind+" "+string(rune('0'+e.Nth)))
		}
	}
	want := []string{
		"client probe 1", "server probe-answer 1", "client probe 2", "server probe-answer 2", "server probe 1", "client probe-answer 1",
		"client probe 3", "server probe 2", "server probe-answer 3", "client probe-answer 2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("told %q\nwant %q", got, want)
	}
	checkSums(t, w, w.finish())
	if c := w.conn(); c.Probes != 5 || c.Answered != 5 {
		t.Errorf("connection: %+v", c)
	}
}

func TestWindowProbesAndRetransmissions(t *testing.T) {
	w := newWorld(t, keepalive(time.Second, 0))
	c := w.talk(40000).open()
	c.data(fromClient, 10)
	c.size = 0
	c.ack(fromServer)
	c.size = 512
	c.probe(fromClient, 0)
	c.size = 0
	c.ack(fromServer)
	c.size = 512
	c.ack(fromServer)
	c.segment(fromClient, wire.ACK, c.next[fromClient], 10)
	c.segment(fromClient, wire.ACK, c.next[fromClient], 10)
	sum := w.finish()
	checkSums(t, w, sum)
	if c := w.conn(); c.WindowProbes != 1 || c.Retransmissions != 1 || c.Probes != 0 || sum.Events["window-probe-answer"] != 1 {
		t.Errorf("connection %+v, events %v", c, sum.Events)
	}
}

// Without a SYN the higher port is taken for the client's.
func TestJoinsMidway(t *testing.T) {
	for _, first := range []int{fromClient, fromServer} {
		w := newWorld(t, keepalive(0, 0))
		c := w.talk(40000)
		c.data(first, 10)
		w.finish()
		if got := w.conn(); got.Client != c.addr[fromClient] || got.Server != c.addr[fromServer] {
			t.Errorf("client %v, server %v", got.Client, got.Server)
		}
	}
	w := newWorld(t, keepalive(0, 0))
	c := w.talk(2999) // lower than the server's, but there is a SYN-ACK
	c.segment(fromServer, wire.SYN|wire.ACK, 1, 0)
	w.finish()
	if got := w.conn(); got.Client != c.addr[fromClient] {
		t.Errorf("client %v", got.Client)
	}
}

// Without packets, an end's own socket tells.
func TestInferred(t *testing.T) {
	h := keepalive(time.Second, 0)
	h.Source = timeline.Counters
	w := newWorld(t, h)
	for range 2 { // the second on the same ports
		c := w.talk(40000)
		c.infer(fromClient, tcpka.Established)
		c.tell(httpka.Event{Kind: httpka.Request, Method: "GET", Target: "/"})
		c.infer(fromClient, tcpka.Data)
		c.infer(fromClient, tcpka.Probe)
		c.infer(fromServer, tcpka.ProbeAnswer)
		c.infer(fromServer, tcpka.FIN)
		c.infer(fromClient, tcpka.FIN)
	}
	sum := w.finish()
	checkSums(t, w, sum)
	checkTold(t, w, `#1 client established
		#1 client request
		#1 client data
		#1 client probe
		#1 server probe-answer
		#1 server fin
		#1 client fin
		conn #1 fin server
		#2 client established
		#2 client request
		#2 client data
		#2 client probe
		#2 server probe-answer
		#2 server fin
		#2 client fin
		conn #2 fin server`)
	for _, r := range w.records {
		if r.Event != nil && r.Event.Segment != nil {
			t.Errorf("%s has a segment", r.Event.Kind)
		}
	}
}
