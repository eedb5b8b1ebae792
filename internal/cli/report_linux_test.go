package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kax/internal/browser"
	"kax/internal/need"
	"kax/internal/timeline"
)

// recordsOf is what stands in a report, as --json has it.
func recordsOf(t *testing.T, file string) result {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), `<script type="application/json" id="records">`)
	text, _, whole := strings.Cut(rest, "</script>")
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(text), &list); err != nil || !whole || !strings.HasSuffix(strings.TrimSpace(string(page)), "</html>") {
		t.Fatalf("the report is not whole: %v", err)
	}
	var out strings.Builder
	for _, r := range list {
		fmt.Fprintf(&out, "%s\n", r)
	}
	return result{stdout: out.String()}
}

// A report made from saved records is the one that the run has made.
func TestReportOfSavedRecords(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	for name, args := range map[string][]string{
		"demo":    quick(),
		"request": {"http", "request", "http://127.0.0.1:1", "--json", "--timeout", "1s"}, // refused
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := sharedDir(t)
			res := run(t, kax(freshNet, append(args, "--report", dir+"/live.html")...))
			told := parse(t, res)
			jsonl := write(t, dir, "saved.jsonl", res.stdout)
			if again := run(t, kax(asIs, "read", jsonl, "--report", dir+"/saved.html", "--summary")); again.code != 0 {
				t.Fatal(again)
			}
			live, err := os.ReadFile(dir + "/live.html")
			if err != nil {
				t.Fatal(err)
			}
			saved, err := os.ReadFile(dir + "/saved.html")
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(live, saved) {
				t.Error("they differ")
			}
			got := parse(t, recordsOf(t, dir+"/live.html"))
			if !slices.Equal(facts(got.events), facts(told.events)) || len(got.summary.Verdicts) != len(told.summary.Verdicts) {
				t.Error("the report has other records than the run")
			}
			for _, e := range got.events {
				if (e.Lane == timeline.TCP) != (e.Frame != nil) {
					t.Errorf("%s has bytes: %v", e.Kind, e.Frame != nil)
				}
			}
		})
	}
}

// The bytes in the records are those of the packets.
func TestFrames(t *testing.T) {
	t.Parallel()
	file, _ := recorded(t)
	bytes := map[int]string{}
	for _, e := range parse(t, run(t, kax(asIs, "read", file, "--json", "--frames"))).events {
		if e.Frame != nil {
			bytes[e.Packet] = fmt.Sprintf("%s %x %d", e.Link, []byte(e.Bytes), e.Length)
		}
	}
	if len(bytes) < 20 {
		t.Fatalf("%d packets with bytes", len(bytes))
	}
	for _, number := range []int{1, 5, len(bytes)} {
		p := parseOpen(t, run(t, kax(asIs, "read", file, "--json", "--packet", fmt.Sprint(number)))).packets[0]
		if want := fmt.Sprintf("%s %x %d", p.Link, []byte(p.Frame), len(p.Frame)); bytes[number] != want {
			t.Errorf("packet %d: %s, want %s", number, bytes[number], want)
		}
	}
	for _, e := range parse(t, run(t, kax(asIs, "read", file, "--json"))).events {
		if e.Frame != nil {
			t.Fatal("bytes that nobody asked for")
		}
	}
}

// What cuts a run short leaves a whole report: ^C, and a reader of the output that
// goes.
func TestReportOfACutRun(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	for _, how := range []string{"interrupted", "a closed pipe"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			file := sharedDir(t) + "/cut.html"
			cmd := kax(freshNet, "demo", "--json", "--pause", "1m", "--idle-timeout", "2m", "--report", file)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			buf := make([]byte, 1<<16)
			for got := ""; !strings.Contains(got, `"kind":"probe"`); {
				n, err := out.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				got += string(buf[:n])
			}
			want := exitFailed
			if how == "interrupted" {
				want = exitInterrupted
				if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
					t.Fatal(err)
				}
				for err == nil {
					_, err = out.Read(buf)
				}
			} else {
				out.Close()
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != want {
				t.Errorf("exit code %d", code)
			}
			if r := parse(t, recordsOf(t, file)); len(r.kind("probe")) == 0 {
				t.Error("no probe in the report")
			}
		})
	}
}

// What is there is not lost for a report that cannot be.
func TestReportSparesFiles(t *testing.T) {
	t.Parallel()
	file, _ := recorded(t)
	capture, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	own, old := write(t, dir, "own.pcapng", string(capture)), write(t, dir, "old.html", "dear")
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"stdout":         {[]string{"read", own, "--report", "-"}, exitUsage, "give a file"},
		"what it reads":  {[]string{"read", own, "--report", own}, exitUsage, "is the file of the packets"},
		"what it writes": {[]string{"demo", "-w", own, "--report", own}, exitUsage, "--write and --report"},
		"no such folder": {[]string{"read", own, "--report", dir + "/none/x.html"}, exitFailed, "no such file"},
		"no timeline":    {[]string{"read", "/dev/null", "--report", old}, exitFailed, ""},
		"none, anew":     {[]string{"read", "/dev/null", "--report", dir + "/new.html"}, exitFailed, ""},
		"a packet":       {[]string{"read", own, "--packet", "1", "--report", old}, exitUsage, "--packet and --report"},
	} {
		res := run(t, kax(asIs, test.args...))
		if res.code != test.code || !strings.Contains(res.stderr, test.says) {
			t.Errorf("%s: %s", name, res)
		}
	}
	for name, want := range map[string]string{own: string(capture), old: "dear"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s is not what it was: %v", name, err)
		}
	}
	if left, _ := filepath.Glob(dir + "/new.html"); left != nil {
		t.Error("an empty report is left")
	}
}

// sums are what a page has drawn, by kind: as marks, and behind bars.
type sums struct{ Marks, Bars map[string]int }

const countDrawn = `(() => {
	const t = kax.page.timeline, by = (n) => Object.fromEntries(t.model.kinds.map((k, i) => [k, n[i]]).filter(([, n]) => n));
	return { Marks: by(t.exact), Bars: by(t.hidden) };
})()`

// A report in a browser: what is drawn is what the records say, and the keyboard
// is enough.
func TestReportInABrowser(t *testing.T) {
	t.Parallel()
	need.Tool(t, "chromium")
	file, told := recorded(t)
	report := t.TempDir() + "/demo.html"
	if res := run(t, kax(asIs, "read", file, "--report", report, "--summary")); res.code != 0 {
		t.Fatal(res)
	}
	p := browser.Open(t)
	p.View(1280, 800, "light")
	p.Go("file://" + report)
	var drawn sums
	p.Eval(countDrawn, &drawn)
	for kind, n := range told.summary.Events {
		if got := drawn.Marks[kind] + drawn.Bars[kind]; got != n {
			t.Errorf("%d %s are drawn, of %d", got, kind, n)
		}
	}
	if drawn.Marks["probe"] != told.summary.Events["probe"] || drawn.Marks["request"] != told.summary.Requests {
		t.Errorf("marks %v, of %v", drawn.Marks, told.summary.Events)
	}
	var rows int
	p.Eval("document.querySelectorAll('#events tbody tr').length", &rows)
	if rows != len(told.events) {
		t.Errorf("the table has %d events of %d", rows, len(told.events))
	}

	t.Run("keyboard", func(t *testing.T) {
		text := func(of string) (s string) {
			p.Eval("document.querySelector('"+of+"').textContent", &s)
			return s
		}
		active := func() (id string) {
			p.Eval("document.activeElement.id || document.activeElement.className", &id)
			return id
		}
		for range 20 {
			if p.Press("Tab"); active() == "timeline" {
				break
			}
		}
		if active() != "timeline" {
			t.Fatalf("the timeline cannot be reached: %s", active())
		}
		if h := text("#details h3"); h != "SYN" {
			t.Errorf("the first event is %q", h)
		}
		p.Press("ArrowRight")
		if h := text("#details h3"); h != "SYN, ACK" {
			t.Errorf("then comes %q", h)
		}
		p.Press("ArrowDown", "ArrowDown")
		if s := text("#said"); !strings.HasPrefix(s, "#3 TCP") {
			t.Errorf("two rows below is %q", s)
		}
		for range 40 {
			if p.Press("ArrowRight"); strings.HasPrefix(text("#details h3"), "Keepalive probe 1") {
				break
			}
		}
		details := text("#details")
		for _, want := range []string{"Keepalive probe 1", "Transmission Control Protocol", "Bytes (ethernet)", "0000  "} {
			if !strings.Contains(details, want) {
				t.Errorf("the details lack %q: %s", want, details)
			}
		}
		if p.Press("Enter"); active() != "details" {
			t.Errorf("Enter leads to %s", active())
		}
		if p.Press("Escape"); active() != "timeline" {
			t.Errorf("Escape leads to %s", active())
		}
		var before, after float64
		p.Eval("kax.page.timeline.to - kax.page.timeline.from", &before)
		p.Press("+")
		p.Eval("kax.page.timeline.to - kax.page.timeline.from", &after)
		if after >= before {
			t.Errorf("+ leads from %v to %v", before, after)
		}
		p.Press("0")
	})

	t.Run("verdict", func(t *testing.T) {
		probes := slices.IndexFunc(told.summary.Verdicts, func(v string) bool { return strings.Contains(v, "crossed connection") })
		p.Eval(fmt.Sprintf("document.querySelector('#verdicts li:nth-child(%d) a').click()", probes+1), nil)
		p.Settle()
		var proven []string
		p.Eval("[...kax.page.timeline.proven].map((i) => kax.page.model.events[i].kind)", &proven)
		want := told.summary.Events["probe"] + told.summary.Events["probe-answer"]
		if len(proven) != want || slices.ContainsFunc(proven, func(k string) bool { return !strings.HasPrefix(k, "probe") }) {
			t.Errorf("proven by %q", proven)
		}
		var sight bool
		p.Eval("[...kax.page.timeline.proven].every((i) => { const t = kax.page.timeline, x = t.x(t.u[i]); return x > t.gutter && x < t.width; })", &sight)
		if !sight {
			t.Error("not all of it is in sight")
		}
	})

	t.Run("fold", func(t *testing.T) {
		p.Press("0")
		// A second of idle time, and a handshake of some µs: in pixels.
		const widths = `(() => {
			const t = kax.page.timeline, m = t.model, row = m.byConn.get(3), x = (i) => t.x(t.u[i]);
			const probe = row.events.find((i) => m.events[i].kind === "probe"), k = row.events.indexOf(probe);
			return [x(row.events[2]) - x(row.events[0]), x(probe) - x(row.events[k - 1]), t.axis.breaks.length];
		})()`
		var folded, scale [3]float64
		p.Eval(widths, &folded)
		p.Press("f")
		p.Eval(widths, &scale)
		if folded[0] < 8 || folded[1] > 120 || folded[2] < 5 {
			t.Errorf("folded: handshake %v px, idle %v px, %v breaks", folded[0], folded[1], folded[2])
		}
		if scale[0] > 1 || scale[1] < 100 || scale[2] != 0 {
			t.Errorf("to scale: handshake %v px, idle %v px, %v breaks", scale[0], scale[1], scale[2])
		}
		p.Press("f")
		// Two hours in the middle of 2000 events, 50 µs apart, are to be seen.
		var part float64
		p.Eval(`(() => {
			const axis = new kax.Axis(Array.from({ length: 2000 }, (_, i) => i * 50e-6 + (i < 1000 ? 0 : 7200)), true), [idle] = axis.breaks;
			return (idle.u1 - idle.u0) / axis.end;
		})()`, &part)
		if part < 0.05 || part > 0.1 {
			t.Errorf("folded: 2 hours have %v of the axis", part)
		}
	})

	t.Run("mouse", func(t *testing.T) {
		var at struct{ X, Y float64 }
		const place = `(() => {
			const t = kax.page.timeline, r = t.canvas.getBoundingClientRect(), i = t.model.events.findIndex((e) => e.kind === "request");
			t.fit(); t.paint();
			const p = t.place(i);
			return { X: p.x + r.left, Y: p.y + r.top };
		})()`
		p.Eval("document.getElementById('timeline').scrollIntoView()", nil)
		p.Eval(place, &at)
		p.Mouse("mouseMoved", at.X, at.Y)
		p.Settle()
		var tip string
		p.Eval("document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent", &tip)
		if !strings.HasPrefix(tip, "GET /close, new connection") {
			t.Errorf("the mouse points at %q", tip)
		}
		var before, after float64
		const from = "kax.page.timeline.from"
		p.Eval("kax.page.timeline.zoom(4)", nil)
		p.Eval(from, &before)
		p.Mouse("mousePressed", at.X, at.Y)
		p.Mouse("mouseMoved", at.X-10, at.Y)
		p.Mouse("mouseMoved", at.X-40, at.Y)
		p.Mouse("mouseReleased", at.X-40, at.Y)
		p.Eval(from, &after)
		if after <= before {
			t.Errorf("dragged to the left, the view begins at %v, and before at %v", after, before)
		}
	})

	t.Run("theme", func(t *testing.T) {
		paper := func() (s string) {
			p.Settle()
			p.Eval("kax.page.timeline.ink.paper", &s)
			return s
		}
		light := paper()
		p.View(1280, 800, "dark")
		dark := paper()
		p.Eval("document.getElementById('theme').click()", nil)
		if chosen := paper(); dark == light || chosen != light {
			t.Errorf("light %s, dark %s, chosen light %s", light, dark, chosen)
		}
	})

	t.Run("print", func(t *testing.T) {
		if pdf := p.Print(); !bytes.HasPrefix(pdf, []byte("%PDF")) || len(pdf) < 20_000 {
			t.Errorf("printed: %d bytes", len(pdf))
		}
	})

	t.Run("phone", func(t *testing.T) {
		p.View(390, 844, "light")
		var wide [2]int
		p.Eval("[document.documentElement.scrollWidth, innerWidth]", &wide)
		if wide[0] > wide[1] {
			t.Errorf("the page is %d wide, and the phone %d", wide[0], wide[1])
		}
		var view [3][2]float64
		const look = "[kax.page.timeline.from, kax.page.timeline.to]"
		p.Eval("kax.page.timeline.fit(); document.getElementById('timeline').scrollIntoView()", nil)
		p.Eval(look, &view[0])
		p.Touch("touchStart", [2]float64{150, 200}, [2]float64{250, 200})
		p.Touch("touchMove", [2]float64{130, 200}, [2]float64{270, 200})
		p.Touch("touchMove", [2]float64{90, 200}, [2]float64{310, 200})
		p.Touch("touchEnd")
		p.Eval(look, &view[1])
		p.Touch("touchStart", [2]float64{300, 200})
		p.Touch("touchMove", [2]float64{280, 200})
		p.Touch("touchMove", [2]float64{200, 200})
		p.Touch("touchEnd")
		p.Eval(look, &view[2])
		if view[1][1]-view[1][0] > 0.7*(view[0][1]-view[0][0]) || view[2][0] <= view[1][0] {
			t.Errorf("two fingers apart, and one to the left: %v", view)
		}
	})

	if err := p.Complaints(); err != nil {
		t.Error(err)
	}
}

// Captures of others: everything of them is there.
func TestReportOfCaptures(t *testing.T) {
	t.Parallel()
	need.Tool(t, "chromium")
	p := browser.Open(t)
	p.View(1280, 800, "dark")
	for _, name := range []string{"206_example_c.pcap", "smb_v2.pcap", "websocket.pcap", "doh.pcapng"} {
		t.Run(name, func(t *testing.T) {
			path, report := need.Capture(t, name), t.TempDir()+"/report.html"
			res := run(t, kax(asIs, "read", path, "--json", "--report", report))
			told := parse(t, res)
			p.Go("file://" + report)
			var got struct{ Events, Rows, Fields, Bytes int }
			p.Eval(`({ Events: kax.page.model.events.length, Rows: kax.page.model.rows.length,
				Fields: kax.page.details.apart.size, Bytes: kax.page.model.events.filter((e) => e.frame).length })`, &got)
			tcp := 0
			for _, e := range told.events {
				if e.Lane == timeline.TCP {
					tcp++
				}
			}
			if got.Events != len(told.events) || got.Rows != told.summary.Connections || got.Bytes != tcp || got.Fields != tcp {
				t.Errorf("%+v; told %d events (%d of TCP) of %d connections", got, len(told.events), tcp, told.summary.Connections)
			}
		})
	}
	if err := p.Complaints(); err != nil {
		t.Error(err)
	}
}

// A report of what was watched has all of it, whatever is shown, and is the one
// that its records make.
func TestReportOfAWatch(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	dir := sharedDir(t)
	server := newPeer(t, "127.0.0.1:0")
	serve(t, server)
	r := watch(t, "-i", "lo", "--json", "--only", "request", "--report", dir+"/live.html")
	ask(t, server.addr, 3)
	r.until(t, `"conn"`)
	told := parse(t, r.interrupt(t))
	records := recordsOf(t, dir+"/live.html")
	got := parse(t, records)
	if len(told.events) != 3 || len(got.kind("request")) != 3 || len(got.kind("syn")) != 1 || len(got.kind("fin")) != 2 {
		t.Errorf("told %d events; the report has %v", len(told.events), facts(got.events))
	}
	jsonl := write(t, dir, "saved.jsonl", records.stdout)
	if again := run(t, kax(asIs, "read", jsonl, "--report", dir+"/saved.html", "--summary")); again.code != 0 {
		t.Fatal(again)
	}
	live, errLive := os.ReadFile(dir + "/live.html")
	saved, errSaved := os.ReadFile(dir + "/saved.html")
	if errLive != nil || errSaved != nil || !bytes.Equal(live, saved) {
		t.Errorf("they differ: %v, %v", errLive, errSaved)
	}
}
