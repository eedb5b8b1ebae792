package timeline_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"kax/httpka"
	"kax/internal/timeline"
	"kax/tcpka"
)

func TestSeconds(t *testing.T) {
	for _, test := range []struct {
		d    time.Duration
		want string
		back time.Duration
	}{
		{0, "0", 0},
		{time.Second, "1", time.Second},
		{1500 * time.Millisecond, "1.5", 1500 * time.Millisecond},
		{-1500 * time.Millisecond, "-1.5", -1500 * time.Millisecond},
		{us, "0.000001", us},
		{-us, "-0.000001", -us},
		{499, "0", 0},
		{500, "0.000001", us},
		{-500, "-0.000001", -us},
		{1024117 * us, "1.024117", 1024117 * us},
		{-1024117 * us, "-1.024117", -1024117 * us},
		{10000*time.Hour + us, "36000000.000001", 10000*time.Hour + us},
	} {
		b, err := json.Marshal(timeline.Seconds(test.d))
		if err != nil || string(b) != test.want {
			t.Errorf("%v: %s, %v; want %s", test.d, b, err, test.want)
		}
		var back timeline.Seconds
		if err := json.Unmarshal(b, &back); err != nil || time.Duration(back) != test.back {
			t.Errorf("%s reads as %v, %v; want %v", b, time.Duration(back), err, test.back)
		}
	}
	var s timeline.Seconds
	if err := json.Unmarshal([]byte(`"1s"`), &s); err == nil {
		t.Error("a string is taken for seconds")
	}
}

// everyRecord tells a story in which every part of the records occurs.
func everyRecord(t testing.TB) []timeline.Record {
	h := keepalive(time.Second, 2*time.Second)
	h.Version, h.Command = "1", "demo"
	h.Settings.HTTPSettings = &timeline.HTTPSettings{}
	h.Settings.Private, h.Settings.Reuse, h.Settings.Server, h.Settings.CloseWith = true, true, "127.0.0.1:3000", "fin"
	h.Settings.IdleTimeout, h.Settings.Pauses = timeline.Seconds(time.Second), []timeline.Seconds{1500000}
	h.Settings.ClientTCP.Effective.UserTimeout = timeline.Seconds(time.Millisecond)
	w := newWorld(t, h)
	w.tracker.Step(w.now, "keep", "what")
	c := w.talk(40000).open()
	c.tell(httpka.Event{Kind: httpka.Interim, FromServer: true, Status: 100, Version: "HTTP/1.1"})
	c.tell(httpka.Event{Kind: httpka.Upgrade, FromServer: true, Status: 101, Version: "HTTP/1.1", Connection: "upgrade"})
	c.tell(httpka.Event{Kind: httpka.Error, Err: errors.New("<broken>")})
	c.tell(httpka.Event{Kind: httpka.Retry})
	c.get(false, "")
	c.answered(fromClient)
	c.answered(fromServer)
	c.tell(httpka.Event{
		Kind: httpka.Request, Method: "GET", Target: "/again", Version: "HTTP/1.0",
		Connection: "keep-alive", KeepAlive: "timeout=5", Reused: true, Idle: time.Second,
	})
	c.data(fromClient, 1)
	c.tell(httpka.Event{Kind: httpka.IdleClose, FromServer: true, Idle: time.Second})
	c.close(fromServer)
	c.infer(fromServer, tcpka.RST)
	dead := w.talk(40001).open()
	dead.dies(fromClient, timeline.Death{
		Errno: "ETIMEDOUT", Text: "connection timed out", Poll: []string{"IN", "ERR"}, Then: "end of file", Write: "EPIPE", Unanswered: 1, Quiet: 2000,
	})
	w.records = append(w.records, tcpRecords(t)...)
	w.tracker.Exchange(w.now, 1, "http://127.0.0.1:3000/<x>", &httpka.Exchange{
		Conn: 1, Client: c.addr[fromClient], Server: c.addr[fromServer], Nth: 2, Why: httpka.NotReused{Reason: httpka.FirstRequest},
		Idle: time.Second, Retried: true, Method: "GET", Sent: httpka.Message{Version: "HTTP/1.1", Connection: "close"},
		Status: 302, Got: httpka.Message{Version: "HTTP/1.0", KeepAlive: "max=1"}, Location: "/there", Body: 7,
		Reuse: httpka.Reuse{May: httpka.ReuseNo, By: httpka.ByServer, Why: httpka.WhyClose}, Connect: us, TLS: 2 * us, Saved: us,
		FirstByte: us, Total: 2 * us, Err: errors.New("<broken>"),
	})
	n := 2
	w.finishWith(&n)
	return w.records
}

// tcpRecords are those of the commands about TCP keepalive alone.
func tcpRecords(t testing.TB) []timeline.Record {
	s := tcpka.Settings{Enabled: true, Idle: time.Minute, Interval: 10 * time.Second, Count: 3, UserTimeout: 75 * time.Second}
	plan, err := timeline.NewPlan(tcpka.Settings{Enabled: true}, s, 250)
	if err != nil {
		t.Fatal(err)
	}
	plan.Systems = []timeline.Through{{System: "a <NAT>", Kind: "NAT", Timeout: 5000, Counts: true, Kept: true, Note: "or so", Source: "a book", Year: 1999}}
	var (
		local, peer = netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("[fe80::1%eth0]:3000")
		owner       = timeline.Owner{PID: 1, Process: "init", FD: 7}
		some        = timeline.Seconds(1024117 * us)
		yes         = true
	)
	return []timeline.Record{
		{Plan: plan},
		{Event: &timeline.Event{Lane: timeline.TCP, Kind: "probe", Side: timeline.Client, Due: &timeline.Window{Earliest: some, Latest: 2 * some}}},
		{Socket: &timeline.Socket{
			State: "ESTAB", Local: local, Peer: peer, UID: 65534, PID: 1, Process: "init", FD: &owner.FD, Also: []timeline.Owner{owner},
			Timer: "keepalive", Expires: some, ProbesOut: 2, LastSent: &some, LastReceived: &some, LastAck: &some, Keepalive: &yes,
			KeepaliveTimes: &timeline.KeepaliveTimes{Idle: some, Interval: some, Count: 3, UserTimeout: some}, Unread: "not all of it",
		}},
		{Change: &timeline.Change{
			Owner: owner, State: "ESTAB", Local: local, Peer: peer,
			Before: timeline.Options(tcpka.Settings{}), After: timeline.Options(s), Next: "waits",
		}},
		{Poke: &timeline.Poke{Owner: owner, Local: local, Peer: peer, Result: "answered", After: some, Waited: some, Note: "nothing"}},
		{Idle: &timeline.Idle{
			URL: "http://127.0.0.1:3000/", Server: "127.0.0.1:3000", Status: 200, How: timeline.IdleSilent,
			IdleTimes: timeline.IdleTimes{Timeout: some, Spread: some, Samples: 5, AtLeast: some, Answer: "nothing", Remaining: 1, Unanswered: 2},
			Announced: "timeout=<3>", Waited: some,
			Probed: &timeline.IdleProbed{
				How: timeline.IdleNone, IdleTimes: timeline.IdleTimes{AtLeast: some},
				Keepalive: timeline.Keepalive{Asked: timeline.Options(tcpka.Settings{Enabled: true}), Effective: timeline.Options(s)}, Effect: "much",
			},
			Check: &timeline.IdleCheck{LongerThan: some, Margin: some, OK: true},
		}},
		{Race: &timeline.Race{URL: "http://127.0.0.1:3000/", At: some, Span: some, Step: 1000, Methods: []timeline.RaceMethod{{
			Method: "<POST>", RaceCount: timeline.RaceCount{Fine: 1, Fresh: 2, Retried: 3, Failed: 40},
			Failures: map[string]int{"EOF": 3, "<reset>": 37},
			Offsets:  []timeline.RaceOffset{{Offset: -1000, RaceCount: timeline.RaceCount{Fine: 1, Fresh: 2, Retried: 3, Failed: 40}}},
		}}}},
		{Header: &timeline.Header{Settings: timeline.Settings{Private: true, LabSettings: &timeline.LabSettings{
			Lab: "nat", Question: "who?", Topology: "a ──── b\n  <c>", Runs: []timeline.LabRun{{
				Name: "with", Text: "probes", ClientTCP: &timeline.Keepalive{Asked: timeline.Options(s)}, ServerTCP: &timeline.Keepalive{Effective: timeline.Options(s)},
			}},
		}}}},
		{Lab: &timeline.Lab{Name: "nat", Question: "who?", LabResult: &timeline.LabResult{
			Held: true, Checks: []timeline.Check{{Text: "1 < 2", Held: true}, {Text: "2 < 1"}}, Lasted: some,
			Kernel: map[string]map[string]int{"with client": {"TCPKeepAlive": 3}}, Error: "no", Unable: true,
		}}},
		{Packet: &timeline.Packet{
			Number: 7, Link: "raw", Frame: timeline.Bytes{0x45, 0}, Meaning: []string{"<nothing>"},
			Layers: []timeline.Layer{{Name: "ip", Field: timeline.Field{
				Text: "Internet", Length: 2, Fields: []timeline.Field{{Text: "Type", Offset: 1, Length: 1}},
			}}},
		}},
	}
}

// A record is written and read back as it was, and has one key.
func TestRecordsRoundTrip(t *testing.T) {
	keys := map[string]bool{}
	for _, r := range everyRecord(t) {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var top map[string]json.RawMessage
		if err := json.Unmarshal(b, &top); err != nil {
			t.Fatal(err)
		}
		if len(top) != 1 {
			t.Errorf("%d keys in %s", len(top), b)
		}
		for key := range top {
			keys[key] = true
		}
		var back timeline.Record
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		if !reflect.DeepEqual(back, r) {
			again, _ := json.Marshal(back)
			t.Errorf("written %s\nread    %s", b, again)
		}
	}
	if len(keys) != reflect.TypeFor[timeline.Record]().NumField() {
		t.Errorf("only %v occur", keys)
	}
}

// The format that readers rely on.
func TestRecordFormat(t *testing.T) {
	want := map[string]string{
		"probe": `{"event":{"at":0.00007,"conn":1,"lane":"tcp","kind":"probe","side":"client","packet":8,` +
			`"src":"127.0.0.1:40000","dst":"127.0.0.1:3000","seq":40000100,"ack":4294967241,"len":0,"window":512,"flags":"A",` +
			`"idle":0.00002,"nth":1}}`,
		"request": `{"event":{"at":0.00011,"conn":1,"lane":"http","kind":"request","side":"client","packet":12,` +
			`"version":"HTTP/1.0","connection":"keep-alive","keep_alive":"timeout=5","method":"GET","target":"/again",` +
			`"reused":true,"idle":1}}`,
		"upgrade": `{"event":{"at":0.00003,"conn":1,"lane":"http","kind":"upgrade","side":"server",` +
			`"version":"HTTP/1.1","connection":"upgrade","keep_alive":"","status":101}}`,
	}
	for _, r := range everyRecord(t) {
		if r.Event == nil || r.Event.Request != nil && !r.Event.Reused {
			continue
		}
		line, ok := want[r.Event.Kind]
		if !ok {
			continue
		}
		delete(want, r.Event.Kind) // the first of its kind
		if b, err := json.Marshal(r); err != nil || string(b) != line {
			t.Errorf("%s, %v\nwant %s", b, err, line)
		}
	}
	if len(want) > 0 {
		t.Errorf("not told: %v", want)
	}
}

// A receiver may keep a clone when the tracker goes on.
func TestClone(t *testing.T) {
	for _, r := range everyRecord(t) {
		if r.Event == nil {
			continue
		}
		c := r.Event.Clone()
		if !reflect.DeepEqual(c, r.Event) {
			t.Errorf("clone %+v\nof    %+v", c, r.Event)
		}
		if c.Segment != nil {
			c.Seq++
		}
		if c.Message != nil {
			c.Connection += "x"
		}
		if c.Request != nil {
			c.Target += "x"
		}
		if c.Response != nil {
			c.Status++
		}
		if c.Due != nil {
			c.Due.Latest++
		}
		if (c.Segment != nil || c.Message != nil || c.Due != nil) && reflect.DeepEqual(c, r.Event) {
			t.Errorf("a change of the clone changes %+v", r.Event)
		}
	}
}

func TestKinds(t *testing.T) {
	kinds := timeline.Kinds()
	for _, r := range everyRecord(t) {
		if r.Event != nil && !slices.Contains(kinds, r.Event.Kind) {
			t.Errorf("%s is not among the kinds", r.Event.Kind)
		}
	}
	slices.Sort(kinds)
	if len(slices.Compact(kinds)) != 20 {
		t.Errorf("kinds: %v", kinds)
	}
}
