package web

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kax/internal/browser"
	"kax/internal/dissect"
	"kax/internal/timeline"
	"kax/internal/wire"
)

var started = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// reportOf writes a report, and returns its file.
func reportOf(t testing.TB, records ...timeline.Record) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "report.html")
	r, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range records {
		if err := r.Record(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func header() timeline.Record {
	return timeline.Record{Header: &timeline.Header{Schema: 1, Command: "read", Started: started, Source: timeline.File}}
}

// tcp is an event of connection 1.
func tcp(number int, at time.Duration, kind string, frame []byte) timeline.Record {
	e := &timeline.Event{
		At: timeline.Seconds(at), Conn: 1, Lane: timeline.TCP, Kind: kind, Side: timeline.Client, Packet: number,
		Segment: &timeline.Segment{
			Src: netip.MustParseAddrPort("192.0.2.1:40000"), Dst: netip.MustParseAddrPort("192.0.2.2:80"),
			Seq: 100, Ack: 200, Len: len(frame), Flags: "A",
		},
	}
	if frame != nil {
		e.Frame = &timeline.Frame{Link: wire.Raw.String(), Bytes: frame, Length: len(frame)}
	}
	return timeline.Record{Event: e}
}

// ack is a bare acknowledgment from 192.0.2.1:40000, with these bytes behind it.
func ack(t testing.TB, data string) []byte {
	t.Helper()
	head, err := hex.DecodeString("450000281234400040060000c0000201c00002029c40005000000064000000c850101357" + "00000000")
	if err != nil {
		t.Fatal(err)
	}
	frame := append(head, data...)
	frame[2], frame[3] = byte(len(frame)>>8), byte(len(frame))
	return frame
}

// What a report is without its records is small, whole, and loads nothing.
func TestShell(t *testing.T) {
	before, after := shell()
	if n := len(before) + len(after); n > 300<<10 {
		t.Errorf("%d bytes", n)
	}
	for _, left := range []string{"{{", "http://", "https://", "src=", "@import", "url(", " onclick=", " style=", "eval(", "innerHTML", "insertAdjacentHTML", "document.write"} {
		if i := strings.Index(before+after, left); i >= 0 {
			t.Errorf("the page has %q: %.60q", left, (before + after)[i:])
		}
	}
}

// The fields in a report are those of the dissection.
func TestFields(t *testing.T) {
	frames := [][]byte{ack(t, ""), ack(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ack(t, "")}
	var f fields
	f.started = started
	var pass dissect.Pass
	var around []dissect.Context
	for i, frame := range frames {
		at := time.Duration(i) * time.Second
		f.take(tcp(i+1, at, "data", frame).Event)
		around = append(around, pass.Next(dissect.Frame{Link: wire.Raw, Data: frame, Length: len(frame), Time: started.Add(at)}))
	}
	got := f.table()
	var build func(n int) timeline.Field
	build = func(n int) timeline.Field {
		node := got.Nodes[n]
		f := timeline.Field{Text: node[0].(string), Offset: node[1].(int), Length: node[2].(int)}
		for _, in := range node[3].([]int) {
			f.Fields = append(f.Fields, build(in))
		}
		return f
	}
	for i, frame := range frames {
		around[i].Time = time.Time{}
		want := dissect.Packet(frame, around[i])
		var layers []timeline.Layer
		for k, n := range got.Packets[i].Layers {
			layers = append(layers, timeline.Layer{Name: got.Packets[i].Names[k], Field: build(n)})
		}
		if !reflect.DeepEqual(layers, want.Layers) || !reflect.DeepEqual(got.Packets[i].Meaning, want.Meaning) {
			t.Errorf("packet %d:\n%+v\nwant\n%+v", i+1, layers, want.Layers)
		}
	}
}

// hostile is what a peer may send to break out of a page.
const hostile = "</script><script>window.pwned=1</script><!--<script>\u2028\u2029]]><img src=x onerror=pwned=1>\"'&lt;\x00\x1b[2J"

// Text from the network stays text, wherever it stands.
func TestHostileText(t *testing.T) {
	request := func() *timeline.Event {
		return &timeline.Event{
			At: 1e9, Conn: 1, Lane: timeline.HTTP, Kind: "request", Side: timeline.Client, Packet: 1, Note: hostile,
			Message: &timeline.Message{Version: hostile, Connection: hostile, KeepAlive: hostile},
			Request: &timeline.Request{Method: "GET", Target: "/" + hostile},
		}
	}
	head := header()
	head.Header.Command, head.Header.Version = hostile, hostile
	head.Header.Settings = timeline.Settings{File: hostile, Interface: hostile, Server: hostile}
	strange := &timeline.Event{At: 2e9, Conn: 1, Lane: timeline.HTTP, Kind: hostile, Side: timeline.Server, Note: hostile}
	name := reportOf(t, head,
		timeline.Record{Step: &timeline.Step{At: 1e9, Name: hostile, Text: hostile}},
		timeline.Record{Event: request()},
		tcp(1, time.Second, "data", ack(t, "GET /"+hostile+" HTTP/1.1\r\nX: "+hostile+"\r\n\r\n")),
		timeline.Record{Event: strange},
		timeline.Record{Death: &timeline.Death{At: 3e9, Conn: 1, Errno: hostile, Text: hostile, Poll: []string{hostile}, Then: hostile, Write: hostile}},
		timeline.Record{Exchange: &timeline.Exchange{Conn: 1, Nth: 1, URL: hostile, Because: hostile, Next: hostile, Error: hostile}},
		timeline.Record{Conn: &timeline.Conn{ID: 1, Protocol: hostile, Close: timeline.CloseHow(hostile), ClosedBy: timeline.Side(hostile)}},
		timeline.Record{Summary: &timeline.Summary{Verdicts: []string{hostile}, Proofs: []timeline.Proof{{Packets: []int{1}}}, Events: map[string]int{hostile: 1}}})

	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("<script")); n != len(scripts)+2 {
		t.Errorf("%d script elements", n)
	}
	p := browser.Open(t)
	p.View(1280, 800, "light")
	p.Go("file://" + name)
	var seen struct {
		Pwned                   bool
		Images, Scripts, Events int
		Verdict, Title          string
	}
	const look = `(() => {
		const t = kax.page.timeline;
		for (let i = 0; i < kax.page.model.events.length; i++) {
			t.hover(i); t.select(i, false); t.paint();
			for (const d of document.querySelectorAll("details")) d.open = true;
		}
		return {
			Pwned: "pwned" in window, Images: document.images.length, Scripts: document.scripts.length, Events: kax.page.model.events.length,
			Verdict: document.querySelector("#verdicts li").firstChild.textContent, Title: document.querySelector("#title").textContent,
		};
	})()`
	p.Eval(look, &seen)
	if seen.Pwned || seen.Images != 0 || seen.Scripts != len(scripts)+2 || seen.Events != 4 {
		t.Errorf("%+v", seen)
	}
	if seen.Verdict != hostile || seen.Title != "kax "+hostile {
		t.Errorf("verdict %q, title %q", seen.Verdict, seen.Title)
	}
	if err := p.Complaints(); err != nil {
		t.Error(err)
	}

	// The policy holds, should something get in all the same.
	p.Eval(`(() => {
		const s = document.createElement("script");
		s.textContent = "window.pwned = 1";
		document.body.append(s);
		const d = document.createElement("div");
		document.body.append(d);
		d.innerHTML = "<img src='x' onerror='window.pwned = 1'>";
	})()`, nil)
	p.Settle()
	p.Eval(look, &seen)
	if seen.Pwned {
		t.Error("what is not named by the policy runs")
	}
}

// What a kill has left is shown up to there.
func TestCutReport(t *testing.T) {
	name := reportOf(t, header(), tcp(1, 0, "syn", ack(t, "")), tcp(2, time.Second, "probe", ack(t, "")), tcp(3, 2*time.Second, "probe", nil))
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	third := bytes.Index(text, []byte(`"packet":3`))
	if err := os.WriteFile(name, text[:third], 0o666); err != nil {
		t.Fatal(err)
	}
	p := browser.Open(t)
	p.Go("file://" + name)
	var seen struct {
		Kinds  []string
		Notice string
	}
	p.Eval(`({ Kinds: kax.page.model.events.map((e) => e.kind), Notice: document.getElementById("notice").textContent })`, &seen)
	if strings.Join(seen.Kinds, " ") != "syn probe" || !strings.Contains(seen.Notice, "cut off") {
		t.Errorf("%+v", seen)
	}
	if err := p.Complaints(); err != nil {
		t.Error(err)
	}
}

// many are events on some connections: probes and answers, a request now and then.
func many(n, conns int, yield func(timeline.Record) error) error {
	if err := yield(header()); err != nil {
		return err
	}
	for i := range n {
		at := timeline.Seconds(time.Duration(i) * 50 * time.Millisecond)
		e := timeline.Event{At: at, Conn: 1 + i%conns, Lane: timeline.TCP, Kind: "probe", Side: timeline.Client, Packet: i + 1, Nth: i/2 + 1}
		switch {
		case i%100 == 99:
			e.Lane, e.Kind, e.Request = timeline.HTTP, "request", &timeline.Request{Method: "GET", Target: "/"}
		case i/conns%2 == 1:
			e.Kind, e.Side = "probe-answer", timeline.Server
		}
		if err := yield(timeline.Record{Event: &e}); err != nil {
			return err
		}
	}
	return yield(timeline.Record{Summary: &timeline.Summary{Verdicts: []string{}}})
}

// Of a hundred thousand events each is drawn or counted in a bar; zoomed in, each
// is a mark of its own.
func TestManyEvents(t *testing.T) {
	const n, conns = 100_000, 4
	p := browseMany(t, n, conns)
	var all struct{ Marks, Bars int }
	const sum = `({ Marks: kax.page.timeline.exact.reduce((a, b) => a + b, 0), Bars: kax.page.timeline.hidden.reduce((a, b) => a + b, 0) })`
	p.Eval("kax.page.timeline.paint()", nil)
	p.Eval(sum, &all)
	if all.Marks+all.Bars != n || all.Marks > 5000 {
		t.Errorf("all in sight: %+v of %d", all, n)
	}
	p.Eval("for (let i = 0; i < 12; i++) kax.page.timeline.zoom(2); kax.page.timeline.paint()", nil)
	var near struct{ Marks, Bars int }
	p.Eval(sum, &near)
	if near.Bars != 0 || near.Marks < 4 {
		t.Errorf("near: %+v", near)
	}
	var took float64
	p.Eval(`(() => {
		const t = kax.page.timeline, times = [];
		t.fit();
		for (let i = 0; i < 30; i++) { t.pan(i % 2 ? 5 : -5); const from = performance.now(); t.paint(); times.push(performance.now() - from); }
		return times.sort((a, b) => a - b)[15];
	})()`, &took)
	t.Logf("a frame with all %d events takes %.1f ms", n, took)
	if err := p.Complaints(); err != nil {
		t.Error(err)
	}
}

// Records in a report are the records.
func TestRecordsStayThemselves(t *testing.T) {
	want := tcp(1, time.Second, "data", ack(t, strings.Repeat("x", 5000)))
	name := reportOf(t, header(), want)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `id="records">`)
	list, _, _ := strings.Cut(rest, "</script>")
	var got []timeline.Record
	if err := json.Unmarshal([]byte(list), &got); err != nil {
		t.Fatal(err)
	}
	if len(want.Event.Bytes) != 5040 {
		t.Errorf("the report has changed what it was given: %d bytes", len(want.Event.Bytes))
	}
	short := *want.Event.Frame
	short.Bytes = short.Bytes[:maxShown]
	want.Event.Frame = &short
	if !reflect.DeepEqual(got[1], want) {
		t.Errorf("%s\nwant\n%s", fmt.Sprintf("%+v", got[1].Event), fmt.Sprintf("%+v", want.Event))
	}
}

// On paper nothing can be scrolled: every connection is on one of the sheets, and
// afterwards the page is as it was.
func TestPrint(t *testing.T) {
	const conns = 10
	p := browseMany(t, 1000, conns)
	const sheets = `(() => { const t = kax.page.timeline;
		return [...document.querySelectorAll(".canvas")].map((c) => (c.height / t.sprites.ratio - t.head - 6) / t.high); })()`
	var before, printed, after []float64
	p.Settle()
	p.Eval(sheets, &before)
	p.Eval("dispatchEvent(new Event('beforeprint'))", nil)
	p.Eval(sheets, &printed)
	p.Eval("dispatchEvent(new Event('afterprint'))", nil)
	p.Settle()
	p.Eval(sheets, &after)
	if !slices.Equal(printed, []float64{4, 4, 2}) || len(before) != 1 || before[0] >= conns || !slices.Equal(before, after) {
		t.Errorf("%v connections in sight, %v on sheets, then %v", before, printed, after)
	}
	if pdf := p.Print(); !bytes.HasPrefix(pdf, []byte("%PDF")) {
		t.Errorf("printed %d bytes", len(pdf))
	}
	if err := p.Complaints(); err != nil {
		t.Error(err)
	}
}

// browseMany opens a report of many events in a browser.
func browseMany(t *testing.T, n, conns int) *browser.Page {
	t.Helper()
	name := filepath.Join(t.TempDir(), "many.html")
	r, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := many(n, conns, r.Record); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	p := browser.Open(t)
	p.View(1280, 800, "light")
	p.Go("file://" + name)
	return p
}

// What no browser opens is known when it has been written.
func TestReportOpens(t *testing.T) {
	var out bytes.Buffer
	r := newReport(&out)
	record := timeline.Record{Step: &timeline.Step{Text: strings.Repeat("x", 1000)}}
	write := func() (size int64, ok bool) {
		t.Helper()
		if err := r.Record(record); err != nil {
			t.Fatal(err)
		}
		return r.Opens()
	}
	write()
	one, ok := write()
	if err := r.out.Flush(); err != nil {
		t.Fatal(err)
	}
	_, written, _ := strings.Cut(out.String(), `id="records">[`+"\n")
	if one != int64(len(written)) || !ok {
		t.Errorf("%d bytes of records, %d are written: %v", one, len(written), ok)
	}
	r.size = maxOpened - one // as if there had been more before
	if size, ok := write(); !ok || size > maxOpened {
		t.Errorf("%d bytes: %v", size, ok)
	}
	write()
	if size, ok := write(); ok || size <= maxOpened {
		t.Errorf("%d bytes: %v", size, ok)
	}
}
