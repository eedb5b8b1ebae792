package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What the servers of these tests run is this program, told by its environment to
// write the records that a kax would.
const envWrites = "KAX_TEST_WRITES"

func TestMain(m *testing.M) {
	switch what := os.Getenv(envWrites); what {
	case "":
		os.Exit(m.Run())
	case "many": // as fast as they are taken, until it is interrupted
		out := bufio.NewWriter(os.Stdout)
		for n := range 40_000 {
			fmt.Fprintf(out, `{"event":{"at":%d,"conn":1,"lane":"tcp","kind":"ack","side":"client"}}`+"\n", n)
		}
		out.Flush()
		os.Exit(0)
	default: // the records, and then it waits for its end
		fmt.Println(what)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

// served is a server under test.
type serving struct {
	*Server
	base   string
	client *http.Client
	asked  [][]string // command lines
	ended  chan error
	cancel context.CancelFunc
}

// serve starts a server whose runs write this.
func serve(t *testing.T, writes string) *serving {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &serving{base: "http://" + l.Addr().String() + "/", ended: make(chan error, 1)}
	s.Server, err = NewServer(l, Config{
		Experiments: []Experiment{{Name: "demo"}},
		Args: func(a Ask, write string) ([]string, error) {
			if a.Experiment != "demo" {
				return nil, errors.New("no such experiment")
			}
			return []string{"demo"}, nil
		},
		Read:    func(file string) []string { return []string{"read", file} },
		Predict: func(Ask) (*Prediction, error) { return &Prediction{}, nil },
		Command: func(args ...string) *exec.Cmd {
			s.asked = append(s.asked, args)
			c := exec.Command(os.Args[0])
			c.Env = append(os.Environ(), envWrites+"="+writes)
			in, err := c.StdinPipe()
			if err != nil {
				t.Error(err)
			}
			_ = in // open until it ends
			return c
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel = cancel
	go func() { s.ended <- s.Serve(ctx); close(s.ended) }()
	t.Cleanup(func() {
		cancel()
		<-s.ended
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.client = &http.Client{Jar: jar}
	return s
}

// login uses the token.
func (s *serving) login(t *testing.T) *serving {
	t.Helper()
	if code, text := s.do(t, s.request("GET", s.URL(), nil)); code != http.StatusOK {
		t.Fatal(code, text)
	}
	return s
}

func (s *serving) request(method, url string, body io.Reader) *http.Request {
	if !strings.HasPrefix(url, "http") {
		url = s.base + url
	}
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		panic(err)
	}
	if method == "POST" {
		r.Header.Set("Origin", strings.TrimSuffix(s.base, "/"))
	}
	return r
}

func (s *serving) do(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

const demo = `{"experiment":"demo","settings":{}}`

// start runs something, and returns once it is there.
func (s *serving) startDemo(t *testing.T) {
	t.Helper()
	if code, text := s.do(t, s.request("POST", "runs", strings.NewReader(demo))); code != http.StatusOK {
		t.Fatal(code, text)
	}
}

const oneRecord = `{"header":{"schema":1,"version":"x","command":"demo","started":"2026-01-02T03:04:05Z","settings":{"netns":false}}}`

// Nothing is answered without the session, whatever is asked; the token gives it
// once.
func TestToken(t *testing.T) {
	s := serve(t, oneRecord)
	for _, r := range []*http.Request{
		s.request("GET", "", nil), s.request("GET", "ui.js", nil), s.request("GET", "menu", nil), s.request("GET", "runs", nil),
		s.request("GET", "runs/1/events", nil), s.request("POST", "runs", strings.NewReader(demo)), s.request("POST", "runs/1/stop", nil),
		s.request("POST", "captures?name=x", strings.NewReader("x")), s.request("GET", "?token=wrong", nil), s.request("GET", "menu?token="+s.guard.token, nil),
	} {
		if code, text := s.do(t, r); code != http.StatusForbidden {
			t.Errorf("%s %s: %d %s", r.Method, r.URL, code, text)
		}
	}
	if len(s.asked) > 0 {
		t.Fatalf("something has run: %q", s.asked)
	}
	forged := s.request("GET", "menu", nil)
	forged.AddCookie(&http.Cookie{Name: s.guard.cookie, Value: "guess"})
	if code, _ := s.do(t, forged); code != http.StatusForbidden {
		t.Errorf("a forged session: %d", code)
	}
	address := s.URL()
	s.login(t)
	jar, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.client.Jar.Cookies(jar); len(got) != 1 || got[0].Value != s.guard.session {
		t.Fatalf("cookies %v", got)
	}
	if code, _ := s.do(t, s.request("GET", "menu", nil)); code != http.StatusOK {
		t.Errorf("with the session: %d", code)
	}
	if code, _ := s.do(t, s.request("GET", address, nil)); code != http.StatusOK {
		t.Errorf("the address again, with the session: %d", code)
	}
	s.client.Jar = nil
	if code, text := s.do(t, s.request("GET", address, nil)); code != http.StatusForbidden || !strings.Contains(text, "works once") {
		t.Errorf("the token again: %d %s", code, text)
	}
}

// The cookie is for this server's pages only, and no script can read it.
func TestCookie(t *testing.T) {
	s := serve(t, oneRecord)
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := s.client.Do(s.request("GET", s.URL(), nil))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	c := res.Cookies()
	if len(c) != 1 || !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode || c[0].Domain != "" {
		t.Errorf("%v", c)
	}
	if to := res.Header.Get("Location"); to != "/" {
		t.Errorf("the token stays in the address: %s", to)
	}
}

// A name of somebody else's that has been made to lead here opens nothing, also with
// the session.
func TestRebinding(t *testing.T) {
	s := serve(t, oneRecord).login(t)
	_, port, _ := net.SplitHostPort(s.listener.Addr().String())
	for host, want := range map[string]int{
		"evil.example": 421, "evil.example:" + port: 421, "127.0.0.1": 421, "127.0.0.1:1": 421, "127.0.0.1.evil.example:" + port: 421,
		"localhost:" + port: 200, "127.0.0.1:" + port: 200,
	} {
		r := s.request("GET", "menu", nil)
		r.AddCookie(&http.Cookie{Name: s.guard.cookie, Value: s.guard.session})
		r.Host = host
		if code, _ := s.do(t, r); code != want {
			t.Errorf("Host %s: %d, want %d", host, code, want)
		}
	}
}

// Another site's page cannot act, though the browser would send the session along.
func TestOrigin(t *testing.T) {
	s := serve(t, oneRecord).login(t)
	for _, path := range []string{"runs", "runs/1/stop", "captures?name=x.pcap", "predict"} {
		for _, origin := range []string{"", "null", "https://evil.example", "http://127.0.0.1:1", "http://127.0.0.1", strings.TrimSuffix(s.base, "/") + ".evil.example"} {
			r := s.request("POST", path, strings.NewReader(demo))
			if r.Header.Del("Origin"); origin != "" {
				r.Header.Set("Origin", origin)
			}
			if code, _ := s.do(t, r); code != http.StatusForbidden {
				t.Errorf("POST %s from %q: %d", path, origin, code)
			}
		}
	}
	r := s.request("GET", "runs", nil)
	r.Header.Set("Origin", "http://127.0.0.1:1")
	if code, _ := s.do(t, r); code != http.StatusForbidden {
		t.Errorf("GET from another origin: %d", code)
	}
	if len(s.asked) > 0 {
		t.Errorf("something has run: %q", s.asked)
	}
}

// What acts is a POST.
func TestMethods(t *testing.T) {
	s := serve(t, oneRecord).login(t)
	for _, path := range []string{"runs/1/stop", "captures?name=x", "predict"} {
		if code, _ := s.do(t, s.request("GET", path, nil)); code != http.StatusMethodNotAllowed && code != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, code)
		}
	}
}

// Every answer has the policy, also a refusal; the page has no script or style in
// itself, and loads what is served.
func TestPolicy(t *testing.T) {
	s := serve(t, oneRecord)
	for _, login := range []bool{false, true} {
		if login {
			s.login(t)
		}
		for _, path := range []string{"", "ui.js", "runs", "none"} {
			res, err := s.client.Do(s.request("GET", path, nil))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			got := res.Header.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "style-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"} {
				if !strings.Contains(got, part) {
					t.Errorf("%s: no %s in %q", path, part, got)
				}
			}
			if strings.Contains(got, "unsafe") || res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %v", path, res.Header)
			}
		}
	}
	text := uiPage()
	for _, left := range []string{"{{", "<script>", "<style", "style=", "javascript:", " onclick", "http://", "https://"} {
		if strings.Contains(text, left) {
			t.Errorf("the page has %q", left)
		}
	}
	for _, name := range served {
		for _, bad := range []string{"eval(", "new Function", "innerHTML", "insertAdjacentHTML", "document.write", "https://"} {
			if strings.Contains(read(name), bad) {
				t.Errorf("%s has %s", name, bad)
			}
		}
		if code, got := s.do(t, s.request("GET", name, nil)); code != http.StatusOK || got != read(name) {
			t.Errorf("%s: %d", name, code)
		}
	}
}

// A capture has a bound, and a name of its own; no other file can be reached.
func TestUpload(t *testing.T) {
	s := serve(t, oneRecord).login(t)
	for name, want := range map[string]string{
		"a.pcap": "a.pcap", "../../../../etc/passwd": "passwd", `C:\x\y.pcapng`: "y.pcapng", "-rf": "rf", "--report=x": "report_x", "..": "capture", "": "capture",
		"a b;$(c).pcap": "a_b___c_.pcap", ".hidden": "hidden", "\x00\x1b[2J": "___2J", strings.Repeat("x", 5000): strings.Repeat("x", 100),
	} {
		if got := harmless(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
	code, text := s.do(t, s.request("POST", "captures?name=..%2F..%2Fx.pcap", strings.NewReader("bytes")))
	if code != http.StatusOK || len(s.asked) != 1 || s.asked[0][1] != "x.pcap" {
		t.Fatal(code, text, s.asked)
	}
	kept, err := filepath.Glob(filepath.Join(s.runs.dir, "capture-*", "x.pcap"))
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	if got, err := os.ReadFile(kept[0]); err != nil || string(got) != "bytes" {
		t.Error(string(got), err)
	}
	code, text = s.do(t, s.request("POST", "captures?name=big.pcap", io.LimitReader(zeros{}, maxUpload+1)))
	if code != http.StatusRequestEntityTooLarge || !strings.Contains(text, "larger than 64 MiB") {
		t.Errorf("too large: %d %s", code, text)
	}
	if kept, _ := filepath.Glob(filepath.Join(s.runs.dir, "capture-*", "big.pcap")); len(kept) != 0 {
		t.Errorf("left: %q", kept)
	}
	for _, path := range []string{"runs/1/..%2F..%2Fetc%2Fpasswd", "runs/1/passwd", "page/ui.js", "..%2Fserver.go", "runs/7/records.jsonl", "runs/x/records.jsonl"} {
		if code, text := s.do(t, s.request("GET", path, nil)); code == http.StatusOK {
			t.Errorf("%s: %s", path, text)
		}
	}
}

// zeros is endless.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// What is not understood starts nothing.
func TestAsks(t *testing.T) {
	s := serve(t, oneRecord).login(t)
	for _, body := range []string{"", "null?", `{"experiment":"other"}`, `{"experiment":"demo","args":["-w","/etc/passwd"]}`, `{"experiment":"demo","settings":{"x":"` + strings.Repeat("x", maxAsk) + `"}}`} {
		if code, text := s.do(t, s.request("POST", "runs", strings.NewReader(body))); code != http.StatusBadRequest && code != http.StatusUnprocessableEntity {
			t.Errorf("%.60s: %d %s", body, code, text)
		}
	}
	if len(s.asked) > 0 {
		t.Errorf("something has run: %q", s.asked)
	}
}

// events reads a stream up to an event.
func (s *serving) events(t *testing.T, last string, until func(id, kind, data string) bool) {
	t.Helper()
	r := s.request("GET", "runs/1/events", nil)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatal(res.Status, got)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	var id, kind, data string
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			id = value
		case "event":
			kind = value
		case "data":
			data = value
		case "":
			if data != "" && until(id, kind, data) {
				return
			}
			kind, data = "", ""
		}
	}
	t.Fatalf("the stream ended early: %v", lines.Err())
}

// A stream that has been dropped goes on where it was; nothing comes twice, and
// nothing is left out. Who does not read keeps nobody waiting.
func TestResume(t *testing.T) {
	s := serve(t, "many").login(t)
	s.startDemo(t)
	lazy, err := s.client.Do(s.request("GET", "runs/1/events", nil)) // reads nothing
	if err != nil {
		t.Fatal(err)
	}
	defer lazy.Body.Close()
	last, got, parts := "", 0, 0
	whole := bytes.Buffer{}
	for done := false; !done; parts++ {
		s.events(t, last, func(id, kind, data string) bool {
			if kind == "end" {
				done = true
				return true
			}
			whole.WriteString(strings.Trim(data, "[]") + "\n")
			last = id
			got++
			return got%7 == 0 // dropped
		})
	}
	if parts < 5 {
		t.Errorf("resumed %d times", parts)
	}
	_, records := s.do(t, s.request("GET", "runs/1/records.jsonl", nil))
	if strings.ReplaceAll(whole.String(), "},{\"event\"", "}\n{\"event\"") != records {
		t.Errorf("what came in parts is not what there is: %d bytes, %d", whole.Len(), len(records))
	}
	if n := strings.Count(records, "\n"); n != 40_000 {
		t.Errorf("%d records", n)
	}
}

// The last runs are kept, and no more; only so many go on at a time.
func TestBounds(t *testing.T) {
	s := serve(t, oneRecord).login(t)
	for range maxGoing {
		s.startDemo(t)
	}
	if code, text := s.do(t, s.request("POST", "runs", strings.NewReader(demo))); code != http.StatusTooManyRequests {
		t.Errorf("one more: %d %s", code, text)
	}
	for id := 1; id <= maxRuns+2; id++ {
		if r := s.runs.find(id); r == nil {
			s.startDemo(t)
		}
		r := s.runs.find(id)
		s.do(t, s.request("POST", fmt.Sprintf("runs/%d/stop", id), nil))
		<-r.over
		if got := r.state(); !got.Done || !got.Stopped {
			t.Errorf("%+v", got)
		}
	}
	if n := len(s.runs.list()); n != maxRuns || s.runs.find(1) != nil {
		t.Errorf("%d runs are kept", n)
	}
	folders, _ := filepath.Glob(filepath.Join(s.runs.dir, "*"))
	if len(folders) > maxRuns {
		t.Errorf("%d folders are kept", len(folders))
	}
}

// What is too much is left out, and said.
func TestTooManyRecords(t *testing.T) {
	r := &run{more: make(chan struct{}), over: make(chan struct{}), cmd: exec.Command("true")}
	close(r.over)
	r.cmd.Process, _ = os.FindProcess(1 << 22) // none has this number
	long := []byte(`{"event":{"note":"` + strings.Repeat("x", 1<<20) + `"}}`)
	for range maxRecords>>20 + 10 {
		r.take(long)
	}
	r.take([]byte(`{"summary":{}}`))
	if s := r.state(); !s.Full || s.Records > maxRecords>>20+2 || r.size > maxRecords+2<<20 {
		t.Errorf("%+v, %d bytes", s, r.size)
	}
	if last := r.records[len(r.records)-1]; string(last) != `{"summary":{}}` {
		t.Errorf("the summary is lost: %.40s", last)
	}
}

// The connections of the page itself are no part of what is watched.
func TestOwnConnections(t *testing.T) {
	l := leaving{own: "127.0.0.1:8080"}
	for _, tc := range []struct {
		line string
		out  bool
	}{
		{`{"event":{"conn":1,"src":"127.0.0.1:1","dst":"127.0.0.1:80"}}`, false},
		{`{"event":{"conn":2,"src":"127.0.0.1:2","dst":"127.0.0.1:8080"}}`, true},
		{`{"event":{"conn":2,"lane":"http"}}`, true},
		{`{"event":{"conn":1,"lane":"http"}}`, false},
		{`{"event":{"conn":2,"src":"127.0.0.1:8080","dst":"127.0.0.1:2"}}`, true},
		{`{"event":{"conn":3,"src":"127.0.0.1:3","dst":"127.0.0.1:80801"}}`, false},
		{`{"conn":{"id":2}}`, true},
		{`{"summary":{}}`, false},
	} {
		if got := l.out([]byte(tc.line)); got != tc.out {
			t.Errorf("%s: left out %v", tc.line, got)
		}
	}
}

// When the server ends nothing is left: no run, no stream, no folder.
func TestEnd(t *testing.T) {
	s := serve(t, oneRecord).login(t)
	s.startDemo(t)
	r := s.runs.find(1)
	streaming := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		res, err := s.client.Do(s.request("GET", "runs/1/events", nil))
		if err != nil {
			t.Error(err)
			close(streaming)
			return
		}
		close(streaming)
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}()
	<-streaming
	s.cancel()
	if err := <-s.ended; err != nil {
		t.Error(err)
	}
	<-over
	if r.cmd.ProcessState == nil {
		t.Error("the run goes on")
	}
	if _, err := os.Stat(s.runs.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
	if _, err := net.DialTimeout("tcp", s.listener.Addr().String(), time.Second); err == nil {
		t.Error("somebody still listens")
	}
}
