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
