package cli

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"
	"syscall"
	"testing"

	"kax/internal/browser"
	"kax/internal/lab"
	"kax/internal/need"
)

// uiPage is a kax ui under test.
type uiPage struct {
	*running
	url, origin string
}

func startUI(t *testing.T, mode string, args ...string) *uiPage {
	t.Helper()
	tmp := t.TempDir() // one that is killed leaves its runs
	cmd := kax(mode, append([]string{"ui"}, args...)...)
	cmd.Env = append(cmd.Env, "TMPDIR="+tmp)
	r := start(t, cmd)
	r.until(t, "http://")
	p := &uiPage{running: r, url: strings.TrimSpace(r.stdout.String())}
	p.origin, _, _ = strings.Cut(p.url, "?")
	return p
}

// browse opens the page in a browser.
func (u *uiPage) browse(t *testing.T) *browser.Page {
	t.Helper()
	p := browser.Open(t)
	p.From(u.origin)
	p.View(1280, 800, "light")
	p.Go(u.url)
	until(p, "document.body.dataset.ready")
	return p
}

// client is one that the page's session is given to.
func (u *uiPage) client(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar}
	res, err := c.Get(u.url)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	return c
}

// act asks for something, as the page does.
func (u *uiPage) act(t *testing.T, c *http.Client, path, body string) {
	t.Helper()
	r, err := http.NewRequest("POST", u.origin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", strings.TrimSuffix(u.origin, "/"))
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		t.Fatalf("%s: %s", res.Status, text)
	}
}

// events follows the first run, and waits for a text in what it tells.
func (u *uiPage) events(t *testing.T, c *http.Client) (until func(text string)) {
	t.Helper()
	events, err := c.Get(u.origin + "runs/1/events")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { events.Body.Close() })
	lines := bufio.NewScanner(events.Body)
	lines.Buffer(nil, 1<<20)
	return func(text string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return
			}
		}
		t.Fatalf("the stream ended before %s", text)
	}
}

// until waits for something to become true in the page, also in one that nobody sees.
func until(p *browser.Page, what string) {
	p.Eval("new Promise((done) => { const look = () => ("+what+") ? done(1) : setTimeout(look, 20); look(); })", nil)
}

// shots are kept where somebody wants to look at them.
func shots(t *testing.T, p *browser.Page, name string) {
	t.Helper()
	dir := os.Getenv("KAX_SHOTS")
	if dir == "" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		for device, size := range map[string][2]int{"desktop": {1280, 800}, "phone": {390, 844}} {
			p.View(size[0], size[1], scheme)
			if err := os.WriteFile(dir+name+"-"+device+"-"+scheme+".png", p.Shot(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.View(1280, 800, "light")
}

// tabTo goes to an element by the Tab key alone.
func tabTo(t *testing.T, p *browser.Page, what string) {
	t.Helper()
	for range 60 {
		var there bool
		if p.Eval("document.activeElement.matches('"+what+"')", &there); there {
			return
		}
		p.Press("Tab")
	}
	t.Fatalf("%s cannot be reached by keyboard", what)
}

// The demo, set and started from the page by keyboard alone: the prediction moves
// with its setting, the run comes in while it goes on, in every tab, and the page has
// what its records have.
func TestUIDemo(t *testing.T) {
	t.Parallel()
	need.Tool(t, "chromium")
	u := startUI(t, asIs)
	p := u.browse(t)
	predicted := func() (at float64) {
		p.Eval(`Number(document.querySelector(".of-probe rect").dataset.at)`, &at)
		return at
	}
	words := func() (s string) {
		p.Eval(`document.getElementById("foretold").textContent`, &s)
		return s
	}
	until(p, `document.querySelector(".of-probe rect")`)
	if at, s := predicted(), words(); at != 1 || !strings.Contains(s, "first probe comes after 1s") {
		t.Errorf("the first probe is predicted at %v: %s", at, s)
	}
	shots(t, p, "before")
	tabTo(t, p, "input[type=range][data-of=keepidle]")
	p.Press("ArrowRight")
	until(p, `document.querySelector(".of-probe rect").dataset.at === "2"`)
	if s := words(); !strings.Contains(s, "first probe comes after 2s") {
		t.Error(s)
	}
	p.Press("ArrowLeft")
	until(p, `document.querySelector(".of-probe rect").dataset.at === "1"`)

	// What the kernel would refuse is refused, and said.
	p.Eval(`(() => { const i = document.getElementById("set-keepidle"); i.value = "1.5s"; i.dispatchEvent(new Event("input", { bubbles: true })); })()`, nil)
	until(p, `document.getElementById("start").disabled`)
	if s := words(); !strings.Contains(s, "whole number of seconds") {
		t.Error(s)
	}
	p.Eval(`(() => { const i = document.getElementById("set-keepidle"); i.value = "1s"; i.dispatchEvent(new Event("input", { bubbles: true })); })()`, nil)
	until(p, `!document.getElementById("start").disabled`)

	tabTo(t, p, "#start")
	p.Press("Enter")
	until(p, `kax.page && kax.page.model.events.some((e) => e.kind === "probe-answer")`)
	var live struct {
		Over  bool
		State string
	}
	p.Eval(`({ Over: Boolean(kax.page.model.summary), State: document.getElementById("state").textContent })`, &live)
	if live.Over || live.State != "running" {
		t.Errorf("while it runs: %+v", live)
	}
	// A stream that is dropped goes on, and another tab has all of it.
	p.Eval("kax.ui.feed.pause(); kax.ui.feed.open()", nil)
	p.Eval(`(window.second = open(location.href), 0)`, nil)
	until(p, `second.document.body && second.document.body.dataset.ready && second.kax.page && second.kax.page.model.events.length`)
	until(p, `second.kax.page.model.summary`)
	var events [2]int
	p.Eval(`const events = second.kax.page.model.events.length; second.close(); events`, &events[0])
	until(p, `kax.ui.shown.done && kax.page.model.summary && kax.page.details.apart.size`)
	if p.Eval(`kax.page.model.events.length`, &events[1]); events[0] != events[1] {
		t.Errorf("events in two tabs: %v", events)
	}

	var urls []string
	p.Eval(`[...document.querySelectorAll("#runs li:first-child .files a")].map((a) => a.href)`, &urls)
	if len(urls) != 3 {
		t.Fatalf("to download: %q", urls)
	}
	files := map[string]string{}
	for _, url := range urls {
		var text string
		p.Eval(`fetch("`+url+`").then((r) => r.blob()).then((b) => new Promise((done) => { const f = new FileReader(); f.onload = () => done(f.result.split(",")[1]); f.readAsDataURL(b); }))`, &text)
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		files[url[strings.LastIndex(url, ".")+1:]] = string(b)
	}
	told := parse(t, result{stdout: files["jsonl"]})
	var drawn sums
	p.Eval("kax.page.timeline.fit(); kax.page.timeline.paint()", nil)
	p.Eval(countDrawn, &drawn)
	for kind, n := range told.summary.Events {
		if got := drawn.Marks[kind] + drawn.Bars[kind]; got != n {
			t.Errorf("%d %s are drawn, of %d", got, kind, n)
		}
	}
	if n := len(told.kind("probe")); n == 0 || n != told.summary.Events["probe"] || told.summary.Reused == 0 {
		t.Errorf("%d probes, %d reused", n, told.summary.Reused)
	}
	// Prediction and reality lie over each other.
	var happened struct{ Probes, Asks int }
	p.Eval(`({ Probes: document.querySelectorAll(".of-probe circle").length, Asks: document.querySelectorAll(".of-ask circle").length })`, &happened)
	if happened.Probes != told.summary.Answered || happened.Asks != told.summary.Reused+1 {
		t.Errorf("over the prediction: %+v", happened)
	}
	shots(t, p, "after")

	// The report is the one that the records make; the packets are the run's.
	dir := t.TempDir()
	jsonl, packets := write(t, dir, "run.jsonl", files["jsonl"]), write(t, dir, "run.pcapng", files["pcapng"])
	if res := run(t, kax(asIs, "read", jsonl, "--summary", "--report", dir+"/run.html")); res.code != 0 {
		t.Fatal(res)
	}
	if again, err := os.ReadFile(dir + "/run.html"); err != nil || string(again) != files["html"] {
		t.Errorf("the report is another one: %d bytes, %d: %v", len(again), len(files["html"]), err)
	}
	if got := parse(t, run(t, kax(asIs, "read", packets, "--json"))); got.summary.Events["probe"] != told.summary.Events["probe"] {
		t.Errorf("the packets have %d probes of %d", got.summary.Events["probe"], told.summary.Events["probe"])
	}
	if err := p.Complaints(); err != nil {
		t.Error(err)
	}
	if err := u.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if res := u.end(t); res.code != 0 || res.stderr != "" {
		t.Error(res)
	}
}

// Captures, opened by dropping them on the page and at its start, and compared.
func TestUICaptures(t *testing.T) {
	t.Parallel()
	need.Tool(t, "chromium")
	first, second := need.Capture(t, "206_example_c.pcap"), need.Capture(t, "smb_v2.pcap")
	u := startUI(t, asIs, first)
	p := u.browse(t)
	shown := func(name, file string) {
		t.Helper()
		until(p, `kax.ui.shown && kax.ui.shown.done && kax.ui.shown.name === "`+name+`" && kax.page.model.summary && kax.page.details.apart.size`)
		told := parse(t, run(t, kax(asIs, "read", file, "--json")))
		var got struct{ Events, Rows int }
		p.Eval("({ Events: kax.page.model.events.length, Rows: kax.page.model.rows.length })", &got)
		if got.Events != len(told.events) || got.Rows != told.summary.Connections {
			t.Errorf("%s: %+v; told %d events of %d connections", name, got, len(told.events), told.summary.Connections)
		}
	}
	shown("206_example_c.pcap", first)
	bytes, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	p.Eval(`(() => {
		const files = new DataTransfer(), text = atob("`+base64.StdEncoding.EncodeToString(bytes)+`");
		files.items.add(new File([Uint8Array.from(text, (c) => c.charCodeAt(0))], "../smb_v2.pcap"));
		document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
	})()`, nil)
	shown("smb_v2.pcap", second)
	p.Eval(`document.querySelector("#runs button.small").click()`, nil)
	until(p, `kax.ui.beside && kax.ui.beside.model.summary`)
	var both [2]int
	p.Eval("[kax.ui.view.model.events.length, kax.ui.beside.model.events.length]", &both)
	if both[0] == both[1] || both[0] == 0 || both[1] == 0 {
		t.Errorf("side by side: %v events", both)
	}
	var said string
	p.Eval(`document.getElementById("compare-timeline").focus()`, nil)
	p.Press("ArrowRight")
	if p.Eval(`document.getElementById("said").textContent`, &said); !strings.HasPrefix(said, "#1 TCP: ") {
		t.Errorf("who listens to the other timeline hears %q", said)
	}
	shots(t, p, "compare")
	// What is no capture is refused by what reads it, and said.
	p.Eval(`kax.ui.upload(new File(["hello"], "hello.txt"))`, nil)
	until(p, `!document.getElementById("notice").hidden`)
	var notice string
	p.Eval(`document.getElementById("notice").textContent`, &notice)
	if !strings.Contains(notice, "hello.txt") {
		t.Errorf("%q", notice)
	}
	var title string
	if p.Eval(`document.getElementById("title").textContent`, &title); title != "No records" {
		t.Errorf("what has no records is called %q", title)
	}

	// Text of the network stays text, and what gets in all the same does not run.
	const hostile = `</script><script>window.pwned=1</script><img src=x onerror=pwned=1>`
	h, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	records := fmt.Sprintf(`{"header":{"schema":1,"version":%[1]s,"command":%[1]s,"started":"2026-01-02T03:04:05Z","settings":{"netns":false,"file":%[1]s}}}
{"event":{"at":1,"conn":1,"lane":"http","kind":"request","side":"client","method":"GET","target":%[1]s,"version":%[1]s,"connection":%[1]s,"keep_alive":%[1]s,"note":%[1]s}}
{"conn":{"id":1,"client":"192.0.2.1:1","server":"192.0.2.2:80","close":%[1]s}}
{"summary":{"verdicts":[%[1]s],"events":{}}}
`, h)
	js, err := json.Marshal(records)
	if err != nil {
		t.Fatal(err)
	}
	p.Eval(`kax.ui.upload(new File([`+string(js)+`], "a<img src=x onerror=pwned=1>.jsonl"))`, nil)
	until(p, `kax.ui.shown.done && kax.ui.shown.name.endsWith(".jsonl") && kax.page.model.summary`)
	var seen struct {
		Pwned           bool
		Images, Scripts int
		Verdict         string
	}
	p.Eval(`(() => {
		kax.page.timeline.select(0, false);
		kax.page.timeline.paint();
		return { Pwned: "pwned" in window, Images: document.images.length, Scripts: document.querySelectorAll("script:not([src])").length,
			Verdict: document.querySelector("#verdicts li").firstChild.textContent };
	})()`, &seen)
	if seen.Pwned || seen.Images != 0 || seen.Scripts != 0 || seen.Verdict != hostile {
		t.Errorf("%+v", seen)
	}
	if err := p.Complaints(); err != nil {
		t.Error(err)
	}
	p.Eval(`(() => {
		const s = document.createElement("script");
		s.textContent = "window.pwned = 1";
		document.body.append(s);
		const d = document.createElement("div");
		document.body.append(d);
		d.innerHTML = "<img src='x' onerror='window.pwned = 1'>";
		setTimeout("window.pwned = 1", 0); // eval itself is permitted to who debugs
	})()`, nil)
	p.Settle()
	if p.Eval(`"pwned" in window`, &seen.Pwned); seen.Pwned {
		t.Error("what is no script of the page runs")
	}
}

// A page whose server is gone in the middle of a run says so by itself.
func TestUIGone(t *testing.T) {
	t.Parallel()
	need.Tool(t, "chromium")
	u := startUI(t, asIs)
	p := u.browse(t)
	p.Eval(`document.getElementById("start").click()`, nil)
	until(p, `kax.page && kax.page.model.events.length`)
	if err := u.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	u.end(t)
	until(p, `!document.getElementById("notice").hidden`)
	var got struct {
		Notice, State string
		Stop          bool
	}
	p.Eval(`({ Notice: document.getElementById("notice").textContent, State: document.getElementById("state").textContent, Stop: !document.getElementById("stop").disabled })`, &got)
	if !strings.Contains(got.Notice, "no longer answers") || got.State != "" || got.Stop {
		t.Errorf("%+v", got)
	}
}

// Every lab can be chosen, and has its prediction; one is run.
func TestUILabs(t *testing.T) {
	t.Parallel()
	need.Tool(t, "chromium")
	needNamespaces(t)
	u := startUI(t, asIs)
	p := u.browse(t)
	var names []string
	p.Eval(`kax.ui.menu.experiments.filter((e) => e.group === "Labs").map((e) => e.name)`, &names)
	if len(names) != len(lab.Labs()) {
		t.Errorf("%d labs of %d", len(names), len(lab.Labs()))
	}
	for _, name := range names {
		p.Eval(`kax.ui.foretold = null; kax.ui.choose("`+name+`")`, nil)
		until(p, `kax.ui.foretold || document.getElementById("foretold").classList.contains("alarm")`)
		var refused bool
		if p.Eval(`!kax.ui.foretold`, &refused); refused {
			t.Errorf("%s: its defaults are refused", name)
		}
	}
	p.Eval(`kax.ui.choose("lab vanish")`, nil)
	until(p, `!document.getElementById("start").disabled`)
	p.Eval(`document.getElementById("start").click()`, nil)
	until(p, `kax.ui.shown && kax.ui.shown.done && kax.page.model.lab`)
	var got struct {
		Code int
		Lost int
		Held bool
	}
	p.Eval(`({ Code: kax.ui.shown.code, Held: kax.page.model.lab.held, Lost: document.querySelectorAll(".of-lost circle").length })`, &got)
	// What it shows is TestLabs' affair; here, that the page has what it said.
	if got.Held != (got.Code == exitOK) || !got.Held && got.Code != exitProblem || got.Lost == 0 {
		t.Errorf("%+v", got)
	}
	shots(t, p, "lab")
	if err := p.Complaints(); err != nil {
		t.Error(err)
	}
}

// An interface is watched live, without the page's own connections: to show them
// would make more of them.
func TestUIWatch(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	server := newPeer(t, "127.0.0.1:0")
	serve(t, server)
	u := startUI(t, asIs)
	c := u.client(t)
	u.act(t, c, "runs", `{"experiment":"watch","settings":{"interface":"lo"}}`)
	until := u.events(t, c)
	until(`"header"`)
	ask(t, server.addr, 2)
	until(`"conn":{`)
	u.act(t, c, "runs/1/stop", "")
	until("event: end")
	res, err := c.Get(u.origin + "runs/1/records.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	own := strings.TrimSuffix(strings.TrimPrefix(u.origin, "http://"), "/")
	if told := parse(t, result{stdout: string(text)}); len(told.kind("request")) != 2 || strings.Contains(string(text), `"`+own+`"`) {
		t.Errorf("%d requests are told; of the page's own, %s: %v", len(told.kind("request")), own, strings.Contains(string(text), own))
	}
	if packets, err := c.Get(u.origin + "runs/1/packets.pcapng"); err != nil || packets.StatusCode != http.StatusOK {
		t.Errorf("the packets: %v", err)
	}
}
