package cli

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kax/internal/need"
	"kax/internal/timeline"
)

// served is a kax http serve under test.
type served struct {
	*running
	url string // without a slash at its end
}

func startServer(t *testing.T, flags ...string) served {
	t.Helper()
	s := served{running: start(t, kax(asIs, append([]string{"http", "serve", "127.0.0.1:0"}, flags...)...))}
	s.until(t, "://")
	s.url = strings.TrimSuffix(strings.TrimSpace(s.stdout.String()), "/")
	return s
}

// stop ends the server as ^C does.
func (s served) stop(t *testing.T) result {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	res := s.end(t)
	if res.code != exitOK {
		t.Error(res)
	}
	return res
}

// servedConn is a connection as /status shows it.
type servedConn struct {
	Conn, Requests int
	Peer, State    string
	Idle           *float64
	Age            float64
	Self           bool
	Socket         *timeline.KeepaliveOptions
	Closed         string
}

func connections(t *testing.T, text string) []servedConn {
	t.Helper()
	var list []servedConn
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&list); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return list
}

// ever lists the connections so far, and asks on one of its own each time.
func (s served) ever(t *testing.T) []servedConn {
	t.Helper()
	tr := &http.Transport{
		DisableKeepAlives: true,                                  // one that is asked on twice would be taken for a client's
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // TestServeTLS looks at it
	}
	resp, err := (&http.Client{Transport: tr}).Get(s.url + "/status?closed=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return connections(t, string(text))
}

// past asks until the first n connections are over: the server sees the end of
// one a moment after its client. It returns them.
func (s served) past(t *testing.T, n int) []servedConn {
	t.Helper()
	var list []servedConn
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		list = s.ever(t)
		open := func(c servedConn) bool { return c.State != "closed" }
		if len(list) >= n && !slices.ContainsFunc(list[:n], open) {
			return list[:n]
		}
	}
	t.Fatalf("waited in vain for %d connections to be over: %+v", n, list)
	return nil
}

// What curl says of its connections is what the server says.
func TestServeCurl(t *testing.T) {
	t.Parallel()
	curl := need.Tool(t, "curl")
	for _, tc := range []struct {
		name     string
		flags    []string
		args     []string // those that begin with / are paths
		code     int
		connects []int // what curl reports of each transfer: connections made for it
		requests []int // and the server of each connection
		closed   string
		said     string // on stderr by the server
	}{
		{"reuse", nil, []string{"/keep", "/keep", "/bytes?n=100000", "/bytes?n=9&chunked=1"}, 0,
			[]int{1, 0, 0, 0}, []int{4}, "the client closed", "GET /bytes?n=9&chunked=1 → 200, request 4 on this connection"},
		{"Connection: close", nil, []string{"-H", "Connection: close", "/keep", "/keep"}, 0,
			[]int{1, 1}, []int{1, 1}, "said Connection: close", "Connection: close"},
		{"/close", nil, []string{"/close", "/close"}, 0, []int{1, 1}, []int{1, 1}, "said Connection: close", ""},
		{"HTTP/1.0 client", nil, []string{"--http1.0", "/keep", "/keep"}, 0,
			[]int{1, 1}, []int{1, 1}, "HTTP/1.0 without keep-alive", ""},
		{"HTTP/1.0 server", []string{"--http1.0"}, []string{"/keep", "/bytes?n=5000&chunked=1"}, 0,
			[]int{1, 1}, []int{1, 1}, "HTTP/1.0 without keep-alive", ""},
		{"HTTP/1.0 server that keeps", []string{"--http1.0"}, []string{"-H", "Connection: keep-alive", "/keep", "/keep"}, 0,
			[]int{1, 0}, []int{2}, "the client closed", "request 2 on this connection, Connection: keep-alive"},
		{"HTTP/1.0 at both ends", []string{"--http1.0"}, []string{"--http1.0", "-H", "Connection: keep-alive", "/keep", "/keep"}, 0,
			[]int{1, 0}, []int{2}, "the client closed", ""},
		{"max requests", []string{"--max-requests", "2", "--announce"}, []string{"/keep", "/keep", "/keep", "/keep"}, 0,
			[]int{1, 0, 1, 0}, []int{2, 2}, "max requests", "Keep-Alive: timeout=60, max=1"},
		{"TLS", []string{"--tls"}, []string{"-k", "/keep", "/keep"}, 0, []int{1, 0}, []int{2}, "the client closed", "self-signed certificate for localhost, 127.0.0.1, ::1"},
		// curl takes a reset of a reused connection for the end of an idle one,
		// and asks once more.
		{"reset", nil, []string{"/keep", "/rst"}, 56, []int{1, 1}, []int{1, 0}, "the server reset it", "GET /rst is left without an answer"},
		{"half", nil, []string{"/keep", "/half"}, 18, []int{1, 0}, []int{2}, "broke off in mid-body", ""},
		{"half with a reset", []string{"--close-with", "rst"}, []string{"/half"}, 56, []int{1}, []int{1}, "broke off in mid-body, with a reset", ""},
		{"slow", nil, []string{"-m", "1", "/slow?d=60"}, 28, []int{1}, []int{0}, "the client closed", "GET /slow?d=60 is left without an answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, tc.flags...)
			args := []string{"-q", "-s", "--noproxy", "*", "-w", "connects=%{num_connects}\n"}
			for _, arg := range tc.args {
				if strings.HasPrefix(arg, "/") {
					arg = server.url + arg
				}
				args = append(args, arg)
			}
			cmd := exec.CommandContext(t.Context(), curl, args...)
			out, _ := cmd.Output()
			if code := cmd.ProcessState.ExitCode(); code != tc.code {
				t.Errorf("curl's exit code is %d, want %d", code, tc.code)
			}
			var connects []int
			for _, m := range regexp.MustCompile(`connects=(\d+)`).FindAllStringSubmatch(string(out), -1) {
				n, _ := strconv.Atoi(m[1])
				connects = append(connects, n)
			}
			if !slices.Equal(connects, tc.connects) {
				t.Errorf("curl made connections %v, want %v\n%s", connects, tc.connects, out)
			}
			for i, c := range server.past(t, len(tc.requests)) {
				if c.Conn != i+1 || c.Requests != tc.requests[i] || c.Closed != tc.closed {
					t.Errorf("status: %+v, want %d requests, closed: %q", c, tc.requests[i], tc.closed)
				}
			}
			if res := server.stop(t); !strings.Contains(res.stderr, tc.closed) || !strings.Contains(res.stderr, tc.said) {
				t.Errorf("the server does not say %q and %q: %s", tc.closed, tc.said, res)
			}
		})
	}
}

// The certificate is the one whose fingerprint is shown, and good for the
// address.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	curl, openssl := need.Tool(t, "curl"), need.Tool(t, "openssl")
	server := startServer(t, "--tls")
	shown := exec.CommandContext(t.Context(), openssl, "s_client", "-connect", strings.TrimPrefix(server.url, "https://"))
	pem, err := shown.Output() // stdin is empty
	if err != nil {
		t.Fatal(err)
	}
	print := exec.CommandContext(t.Context(), openssl, "x509", "-noout", "-fingerprint", "-sha256")
	print.Stdin = bytes.NewReader(pem)
	out, err := print.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, fingerprint, _ := strings.Cut(strings.TrimSpace(string(out)), "=")
	ca := t.TempDir() + "/ca.pem"
	x509 := exec.CommandContext(t.Context(), openssl, "x509", "-out", ca)
	x509.Stdin = bytes.NewReader(pem)
	if err := x509.Run(); err != nil {
		t.Fatal(err)
	}
	status := exec.CommandContext(t.Context(), curl, "-q", "-sS", "--noproxy", "*", "--http2", "--cacert", ca, server.url+"/status")
	text, err := status.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if list := connections(t, string(text)); len(list) == 0 || !list[len(list)-1].Self || list[len(list)-1].Socket == nil {
		t.Errorf("status: %s", text)
	}
	plain := exec.CommandContext(t.Context(), curl, "-q", "-s", "--noproxy", "*", "http"+strings.TrimPrefix(server.url, "https")+"/keep")
	if text, _ := plain.Output(); string(text) != "this server speaks TLS only: use https\n" {
		t.Errorf("plain HTTP is answered %q", text)
	}
	if res := server.stop(t); len(fingerprint) != 95 || !strings.Contains(res.stderr, fingerprint) {
		t.Errorf("the fingerprint %q is not shown: %s", fingerprint, res)
	}
}

// Settings of accepted sockets are those that were asked for, as the kernel has
// them.
func TestServeSocket(t *testing.T) {
	t.Parallel()
	server := startServer(t, "--keepidle", "7", "--keepintvl", "3", "--keepcnt", "4")
	list := server.ever(t)
	want := timeline.KeepaliveOptions{Keepalive: true, Idle: timeline.Seconds(7 * time.Second), Interval: timeline.Seconds(3 * time.Second), Count: 4}
	if len(list) != 1 || list[0].Socket == nil || *list[0].Socket != want {
		t.Errorf("status: %+v", list)
	}
}

// agent sends requests one after the other by Node's http.Agent with keepAlive,
// and prints which of them found a connection to reuse. The socket is back at
// the agent one turn after the end of its response.
const agent = `
const http = require('http')
const [base, ...paths] = process.argv.slice(1)
const agent = new http.Agent({keepAlive: true, maxSockets: 1})
const get = path => new Promise((done, fail) => {
  const req = http.get(base + path, {agent}, res => {
    res.resume()
    res.on('end', () => setImmediate(() => done(req.reusedSocket)))
  })
  req.on('error', fail)
})
;(async () => {
  for (const path of paths) {
    console.log(JSON.stringify({path, reused: await get(path)}))
  }
  agent.destroy()
})()
`

func TestServeNode(t *testing.T) {
	t.Parallel()
	node := need.Tool(t, "node")
	for _, tc := range []struct {
		name     string
		flags    []string
		paths    []string
		reused   []bool
		requests []int // of each connection
	}{
		{"keep", nil, []string{"/keep", "/bytes?n=100000", "/bytes?n=5000&chunked=1", "/keep"}, []bool{false, true, true, true}, []int{4}},
		{"close", nil, []string{"/keep", "/close", "/keep"}, []bool{false, true, false}, []int{2, 1}},
		{"max requests", []string{"--max-requests", "2"}, []string{"/keep", "/keep", "/keep"}, []bool{false, true, false}, []int{2, 1}},
		// The agent leaves a margin of a second before the timeout that is
		// announced (agentKeepAliveTimeoutBuffer): of 1 s nothing is left.
		{"announced", []string{"--announce", "--idle-timeout", "1"}, []string{"/keep", "/keep"}, []bool{false, false}, []int{1, 1}},
		// The agent asks with Connection: keep-alive.
		{"HTTP/1.0", []string{"--http1.0"}, []string{"/keep", "/keep", "/bytes?n=9&chunked=1", "/keep"}, []bool{false, true, true, false}, []int{3, 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, tc.flags...)
			out, err := exec.CommandContext(t.Context(), node, append([]string{"-e", agent, server.url}, tc.paths...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var reused []bool
			for line := range strings.Lines(string(out)) {
				var got struct{ Reused bool }
				if err := json.Unmarshal([]byte(line), &got); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				reused = append(reused, got.Reused)
			}
			if !slices.Equal(reused, tc.reused) {
				t.Errorf("the agent reused %v, want %v", reused, tc.reused)
			}
			var requests []int
			for _, c := range server.past(t, len(tc.requests)) {
				requests = append(requests, c.Requests)
			}
			if !slices.Equal(requests, tc.requests) {
				t.Errorf("status: %v requests a connection, want %v", requests, tc.requests)
			}
			server.stop(t)
		})
	}
}

// ab counts its requests and how many of them the server left the connection
// open after.
func TestServeAB(t *testing.T) {
	t.Parallel()
	ab := need.Tool(t, "ab")
	const n = 60
	for _, tc := range []struct {
		name        string
		flags, args []string
		kept, conns int
		each        int // requests on each connection, 0 where they differ
	}{
		{"without", nil, nil, 0, n, 1},
		{"keep-alive", nil, []string{"-k"}, n, 4, 0},
		{"max requests", []string{"--max-requests", "5"}, []string{"-k", "-c", "1"}, n - n/5, n / 5, 5},
		{"HTTP/1.0", []string{"--http1.0"}, []string{"-k"}, n, 4, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, tc.flags...)
			args := append([]string{"-q", "-n", strconv.Itoa(n), "-c", "4"}, tc.args...)
			out, err := exec.CommandContext(t.Context(), ab, append(args, server.url+"/bytes?n=48")...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			said := func(what string) int {
				m := regexp.MustCompile(what + `:\s+(\d+)`).FindStringSubmatch(string(out))
				if m == nil {
					return 0 // as with Keep-Alive requests, where there are none
				}
				n, _ := strconv.Atoi(m[1])
				return n
			}
			if said("Complete requests") != n || said("Failed requests") > 0 || said("Keep-Alive requests") != tc.kept {
				t.Errorf("ab says, where %d of %d should be kept: %s", tc.kept, n, out)
			}
			total := 0
			for _, c := range server.past(t, tc.conns) {
				total += c.Requests
				if tc.each > 0 && c.Requests != tc.each {
					t.Errorf("status: %+v, want %d requests", c, tc.each)
				}
			}
			if total != n {
				t.Errorf("status: %d requests on %d connections, want %d", total, tc.conns, n)
			}
			server.stop(t)
		})
	}
}

// wrk runs for a time; what it counts is at most a request a connection less
// than what the server answered, those that the end cut off.
func TestServeWrk(t *testing.T) {
	t.Parallel()
	wrk := need.Tool(t, "wrk")
	server := startServer(t)
	const conns = 4
	out, err := exec.CommandContext(t.Context(), wrk, "-t", "1", "-c", fmt.Sprint(conns), "-d", "1s", server.url+"/keep").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m := regexp.MustCompile(`(\d+) requests in`).FindSubmatch(out)
	if m == nil || bytes.Contains(out, []byte("errors")) {
		t.Fatalf("wrk says: %s", out)
	}
	counted, _ := strconv.Atoi(string(m[1]))
	answered := 0
	list := server.past(t, conns+1) // wrk tries the address first, with one more
	for _, c := range list {
		answered += c.Requests
	}
	if counted == 0 || answered < counted || answered > counted+conns {
		t.Errorf("wrk counts %d requests, status %d: %+v", counted, answered, list)
	}
	server.stop(t)
}

// A server whose lines nobody reads goes on serving, and says afterwards how
// many it has left out.
func TestServeUnread(t *testing.T) {
	t.Parallel()
	const requests = 3000 // more lines than a pipe and the queue hold
	lines, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	cmd := kax(asIs, "http", "serve", "127.0.0.1:0")
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stderr.Close()
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
	for n := range requests {
		res, err := client.Get(strings.TrimSpace(url) + "keep?" + strings.Repeat("long", 100))
		if err != nil {
			t.Fatalf("request %d: %v", n+1, err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	shown, left := strings.Count(string(text), "  #"), 0
	if m := regexp.MustCompile(`(?m)^kax: (\d+) lines left out`).FindStringSubmatch(string(text)); m != nil {
		left, _ = strconv.Atoi(m[1])
	}
	// Each connection opens and is closed; it is one, unless the machine is busy.
	if more := shown + left - requests; left == 0 || more < 2 || more%2 != 0 {
		t.Errorf("%d lines shown and %d left out, of %d requests; they end with %q", shown, left, requests, text[max(0, len(text)-300):])
	}
}
