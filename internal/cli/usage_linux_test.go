package cli

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args string
		code int
		want string // on stderr
		hint string
	}{
		{"demo --bogus", 2, "unknown flag: --bogus", "--help"},
		{"demo more", 2, `unexpected argument "more"`, "--help"},
		{"help demmo", 2, `unknown command "demmo"`, "did you mean demo?"},
		{"completion ksh", 2, `unknown command "ksh"`, "--help"},
		{"demo --keepalive=false --keepidle 3", 2, "--no-keepalive and --keepidle", ""},
		{"demo --no-keepalive --probe-from both", 2, "--no-keepalive and --probe-from", ""},
		{"demo --write -", 2, "--write", ""},
		{"demo --ipv6 --listen localhost:0", 2, "not an IPv6 address", ""},
		{"demo --source counters --listen no.such.host.invalid:0", 1, "no.such.host.invalid", "an address of this machine"},
		{"dmo", 2, `unknown command "dmo"`, "did you mean demo?"},
		{"http serv", 2, `unknown command "serv" for "kax http"`, "did you mean serve?"},
		{"demo --keepidle -1", 2, "--keepidle", ""},
		{"demo --keepidle 0", 2, "a whole number of seconds from 1 to 32767", ""},
		{"demo --keepidle 1.5s", 2, "a whole number of seconds from 1 to 32767", ""},
		{"demo --keepidle 32768", 2, "a whole number of seconds from 1 to 32767", ""},
		{"demo --keepidle soon", 2, "a whole number of seconds from 1 to 32767", ""},
		{"demo --keepintvl 32768s", 2, "a whole number of seconds from 1 to 32767", ""},
		{"demo --keepcnt 128", 2, "from 1 to 127", ""},
		{"demo --keepcnt 0", 2, "from 1 to 127", ""},
		{"demo --keepcnt many", 2, "from 1 to 127", ""},
		{"demo --user-timeout 1us", 2, "whole milliseconds", ""},
		{"demo --idle-timeout 0", 2, "above 0", ""},
		{"demo --idle-timeout soon", 2, "a duration like 1m30s, or seconds like 90", ""},
		{"demo --pause 1,-1", 2, "must not be negative", ""},
		{"demo --no-keepalive --keepidle 2", 2, "--no-keepalive and --keepidle", ""},
		{"demo --json --list", 2, "--json and --list", ""},
		{"demo --only probes", 2, "probe-answer", ""},
		{"demo --color blue", 2, "auto|always|never", ""},
		{"demo --source pipe", 2, "auto|af_packet|userns|counters", ""},
		{"demo --source counters --write x.pcapng", 2, "--write needs packets", ""},
		{"demo --listen 3000", 2, "host:port", ""},
		{"demo --listen 127.0.0.1:70000", 2, "from 0 to 65535", ""},
		{"demo --ipv6 --listen 127.0.0.1:3000", 2, "not an IPv6 address", ""},
		{"demo --tcpdump --listen 127.0.0.1:0", 2, "the port", ""},
		{"demo --source counters --listen 192.0.2.1:3000", 1, "192.0.2.1", "no interface here has this address"},
		{"tcp socket", 2, `unknown command "socket" for "kax tcp"`, "did you mean sockets?"},
		{"tcp sockets --pid -1", 2, "a whole number from 1 on", ""},
		{"tcp sockets --state open", 2, "close-wait", ""},
		{"tcp sockets --sort size", 2, "local|peer|state", ""},
		{"tcp sockets --with-keepalive maybe", 2, "on|off|unknown", ""},
		{"tcp sockets --port 65536", 2, "must be a port from 1 to 65535", ""},
		{"tcp sockets --port 0", 2, "must be a port from 1 to 65535", ""},
		{"tcp sockets --port http", 2, "must be a port from 1 to 65535", ""},
		{"tcp sockets --refresh 0", 2, "above 0", ""},
		{"tcp sockets --strict", 2, "--strict is for --cut-by", ""},
		{"tcp sockets --loopback", 2, "--loopback is for --cut-by", ""},
		{"tcp sockets --cut-by 350 --state listen", 2, "--cut-by and --state", ""},
		{"tcp sockets --cut-by soon", 2, "a duration like 1m30s", ""},
		{"tcp sockets more", 2, `unexpected argument "more"`, ""},
		{"tcp dail 127.0.0.1:80", 2, `unknown command "dail" for "kax tcp"`, "did you mean dial?"},
		{"tcp plan --hz 5", 2, "from 24 to 1200", ""},
		{"tcp plan --hz fast", 2, "from 24 to 1200", ""},
		{"tcp plan --no-keepalive --keepidle 3", 2, "--no-keepalive and --keepidle", ""},
		{"tcp plan 30", 2, `unexpected argument "30"`, ""},
		{"tcp dial", 2, "give HOST:PORT", ""},
		{"tcp dial 127.0.0.1", 2, `"127.0.0.1": must be host:port`, ""},
		{"tcp dial 127.0.0.1:70000", 2, "from 1 to 65535", ""},
		{"tcp dial 127.0.0.1:0", 2, "from 1 to 65535", ""},
		{"tcp dial 127.0.0.1:1 --only foo", 2, "window-probe-answer|retransmission|fin|rst", ""},
		{"tcp dial 127.0.0.1:1 --only request", 2, "must be one of", ""},
		{"tcp dial 127.0.0.1:1 --interface nope", 1, "--interface nope: no such interface", "this machine has lo"},
		{"tcp dial 127.0.0.1:1 --connections 0", 2, "--connections: must be above 0", ""},
		{"tcp dial 127.0.0.1:1 --connections -1", 2, "--connections: must be above 0", ""},
		{"tcp dial 127.0.0.1:1 --keepidle 0", 2, "a whole number of seconds from 1 to 32767", ""},
		{"tcp dial 127.0.0.1:1 --source userns", 2, "auto|af_packet|counters", ""},
		{"tcp dial 127.0.0.1:1 --packets - --source counters", 2, "--packets and --source", ""},
		{"tcp dial 127.0.0.1:1 --packets - --interface lo", 2, "--packets and --interface", ""},
		{"tcp dial 127.0.0.1:1 --interface lo --source counters", 2, "--interface and --source counters", ""},
		{"tcp dial 127.0.0.1:1 --write x.pcapng --source counters", 2, "--write needs packets", ""},
		{"tcp dial 127.0.0.1:1 --source counters", 1, "127.0.0.1:1: connect: connection refused", "nothing listens there; kax tcp listen does"},
		{"tcp dial no.such.host.invalid:80 --source counters", 1, "no.such.host.invalid", "no such name"},
		{"tcp dial 127.0.0.1:nosuchservice --source counters", 1, "nosuchservice", "no such service"},
		{"tcp listen 3000", 2, `"3000": must be host:port`, ""},
		{"tcp listen 127.0.0.1:70000", 2, "from 0 to 65535", ""},
		{"tcp listen --ipv6 127.0.0.1:3000", 2, "not an IPv6 address", ""},
		{"tcp listen --connections 3", 2, "unknown flag: --connections", ""},
		{"tcp listen 127.0.0.1:0 --tcpdump", 2, "the port", ""},
		{"tcp listen 192.0.2.1:3000 --source counters", 1, "192.0.2.1", "no interface here has this address"},
		{"http request", 2, "give a URL", ""},
		{"http request ftp://127.0.0.1/", 2, "must be http or https", ""},
		{"http request http:///keep", 2, "must have a host", ""},
		{"http request http://127.0.0.1:70000/", 2, "a port from 1 to 65535", ""},
		{"http request http://127.0.0.1:1 --requests 0", 2, "a whole number from 1 on", ""},
		{"http request http://127.0.0.1:1 --concurrency none", 2, "a whole number from 1 on", ""},
		{"http request http://127.0.0.1:1 --pool-size 0", 2, "a whole number from 1 on", ""},
		{"http request http://127.0.0.1:1 --pool-idle -1", 2, "must not be negative", ""},
		{"http request http://127.0.0.1:1 --timeout 0", 2, "above 0", ""},
		{"http request http://127.0.0.1:1 -H nothing", 2, `-H "nothing": must be like`, ""},
		{"http request http://127.0.0.1:1 -H Content-Length:3", 2, "the body's length is kax's to say", ""},
		{"http request http://127.0.0.1:1 -X G(T", 2, `-X "G(T"`, ""},
		{"http request http://127.0.0.1:1 --json --list", 2, "--json and --list", ""},
		{"http serve --keepcnt 128", 2, "from 1 to 127", ""},
		{"http serve --max-requests -1", 2, "a whole number from 0 on", ""},
		{"http serve --max-requests some", 2, "a whole number from 0 on", ""},
		{"http serve --announce --idle-timeout 0", 2, "no limit to announce", ""},
		{"http serve 127.0.0.1:1 --listen 127.0.0.1:2", 2, "give one of them", ""},
		{"http idle", 2, "give URL", ""},
		{"http idle ftp://127.0.0.1", 2, "must be http or https", ""},
		{"http idle http://127.0.0.1:99999/", 2, "must have a host, and a port", ""},
		{"http idle http://127.0.0.1:1/ --keepidle 3", 2, "--compare-keepalive", ""},
		{"http idle http://127.0.0.1:1/ --compare-keepalive --no-keepalive", 2, "--no-keepalive", ""},
		{"http idle http://127.0.0.1:1/ --margin 2", 2, "--margin is for --longer-than", ""},
		{"http idle http://127.0.0.1:1/ --longer-than 9 --give-up-after 9", 2, "less than --longer-than and --margin", ""},
		{"http idle http://127.0.0.1:1/ --samples 0", 2, "a whole number from 1 on", ""},
		{"http idle http://127.0.0.1:1/ -H bogus", 2, "'Name: value'", ""},
		{"http idle http://127.0.0.1:1/", 1, "connection refused", "nothing listens there"},
		{"http race", 2, "give URL", ""},
		{"http race http://", 2, "must have a host, and a port", ""},
		{"http race http://127.0.0.1:1/ --step 1s", 2, "more than --span", ""},
		{"http race http://127.0.0.1:1/ --at 1ms", 2, "not less than --at", ""},
		{"http race http://127.0.0.1:1/ --trials 500", 2, "at most 5000", ""},
		{"http race http://192.0.2.1/ --at 1", 1, "not an address of this machine's loopback", "--yes-i-run-this-server"},
		{"http race http://127.0.0.1:1/", 1, "connection refused", "nothing listens there"},
		{"lab run", 2, "give a lab, or all", ""},
		{"lab run clos", 2, `"clos": no such lab`, "close"},
		{"lab run close --keepidle 3", 2, "--keepidle: lab close has no such setting", ""},
		{"lab run nat --keepidle 4", 2, "more often than the router forgets", ""},
		{"lab run close --json --list", 2, "--json and --list", ""},
		{"lab run close -w -", 2, "--write", ""},
		{"lab run all -w x.pcapng", 2, "--write is for one lab", ""},
		{"lab run all --keepidle 3", 2, "--keepidle is for one lab", ""},
		{"explain tiemrs", 2, `unknown topic "tiemrs"`, "did you mean timers?"},
		{"explain xyzzy", 2, `unknown topic "xyzzy"`, "lists the topics"},
		{"explain flags probe", 2, `unexpected argument "probe"`, ""},
		{"decode --link wifi", 2, "auto|null|loop|ethernet|raw|sll|sll2", ""},
		{"decode a.txt b.txt", 2, `unexpected argument "b.txt"`, ""},
		{"http serve 127.0.0.1:0 more", 2, `unexpected argument "more"`, ""},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Parallel()
			res := run(t, kax(asIs, strings.Fields(tc.args)...))
			if res.code != tc.code || !strings.Contains(res.stderr, tc.want) || !strings.Contains(res.stderr, "hint: ") ||
				!strings.Contains(res.stderr, tc.hint) || !strings.HasPrefix(res.stderr, "kax: ") || res.stdout != "" {
				t.Errorf("want exit code %d and %q: %s", tc.code, tc.want, res)
			}
			if n := strings.Count(res.stderr, "\n"); n != 2 {
				t.Errorf("%d lines, want an error and a hint: %s", n, res)
			}
		})
	}
}

// An output that cannot be written is a failure, and no mistake in the usage.
func TestFullOutput(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"version", "help", "explain", "explain flags", "completion bash", "http", "tcp plan", "tcp sockets", "tcp plan --json"} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		cmd := kax(asIs, strings.Fields(args)...)
		var stderr strings.Builder
		cmd.Stdout, cmd.Stderr = full, &stderr
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != 1 {
			t.Errorf("%s: exit code %d, %s", args, code, stderr.String())
		}
		if n := strings.Count(stderr.String(), "no space left"); n != 1 {
			t.Errorf("%s: said %d times: %s", args, n, stderr.String())
		}
	}
}

// The help is for terminals of 80 columns.
func TestHelpWidth(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plan", "dial", "listen", "sockets", "get", "set", "poke"} {
		res := run(t, kax(asIs, append(strings.Fields("tcp "+name), "--help")...))
		for line := range strings.Lines(res.stdout) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
	}
}

// A name that is not there is not one that nobody could be asked about.
func TestDialHint(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]*net.DNSError{
		"no such name": {Err: "no such host", Name: "x", IsNotFound: true},
		"no answer":    {Err: "i/o timeout", Name: "x", IsTimeout: true},
	} {
		h := hinted{}
		if err := dialHint(&net.OpError{Op: "dial", Err: d}); !errors.As(err, &h) || !strings.Contains(h.hint, want) {
			t.Errorf("%v: %q", d, h.hint)
		}
	}
}

// A namespace of its own would be no help to who dials others.
func TestDialWithoutPackets(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	for _, args := range []string{"--source af_packet", "--write x.pcapng"} {
		res := run(t, kax(bare, append([]string{"tcp", "dial", "127.0.0.1:1"}, strings.Fields(args)...)...))
		if res.code != exitUnable || !strings.Contains(res.stderr, "(--packets)") || strings.Contains(res.stderr, "namespace") {
			t.Errorf("%s: %s", args, res)
		}
	}
}

func TestWriteToNowhere(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	res := run(t, kax(freshNet, "demo", "-w", "/no/such/folder/x.pcapng"))
	if res.code != 1 || !strings.Contains(res.stderr, "/no/such/folder/x.pcapng") {
		t.Error(res)
	}
}

// Where no packets are to be had, what needs them is refused, with the reason.
func TestPacketsOutOfReach(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	for _, args := range []string{
		"demo --source af_packet",
		"demo --source userns",
		"demo --netns",
		"demo --write x.pcapng",
	} {
		res := run(t, kax(bare, strings.Fields(args)...))
		if res.code != exitUnable || !strings.Contains(res.stderr, "hint: ") || res.stdout != "" {
			t.Errorf("%s: %s", args, res)
		}
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	server := start(t, kax(asIs, "http", "serve", "127.0.0.1:0"))
	server.until(t, "http://")
	addr := strings.Trim(strings.TrimPrefix(strings.TrimSpace(server.stdout.String()), "http:"), "/")
	for _, args := range [][]string{
		{"demo", "--source", "counters", "--listen", addr},
		{"http", "serve", addr},
	} {
		res := run(t, kax(asIs, args...))
		if res.code != 1 || !strings.Contains(res.stderr, addr) || !strings.Contains(res.stderr, "hint: something listens there") {
			t.Errorf("%v: %s", args, res)
		}
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	server := start(t, kax(asIs, "http", "serve", "127.0.0.1:0", "--keepidle", "7"))
	server.until(t, "http://")
	url := strings.TrimSpace(server.stdout.String())
	client := &http.Client{Transport: &http.Transport{}}
	for _, path := range []string{"", "keep", "close", "nothing"} {
		resp, err := client.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.Close != (path == "close") {
			t.Errorf("/%s: close %v", path, resp.Close)
		}
	}
	client.CloseIdleConnections()
	if err := server.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	res := server.end(t)
	if res.code != 0 {
		t.Error(res)
	}
	for _, want := range []string{"open from", "GET /keep → 200", "GET /close → 200", "Connection: close", "closed: "} {
		if !strings.Contains(res.stderr, want) {
			t.Errorf("no %q: %s", want, res)
		}
	}
}

// A terminal of 80 columns holds every line, whatever the view.
func TestLinesFit(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	for _, view := range []string{"--color=auto", "--summary"} {
		res := run(t, kax(freshNet, "demo", "--no-reuse", "--pause", "0", view))
		lines := bufio.NewScanner(strings.NewReader(res.stdout))
		for lines.Scan() {
			if n := len([]rune(lines.Text())); n > 80 {
				t.Errorf("%s: %d columns: %s", view, n, lines.Text())
			}
		}
		if strings.Contains(res.stdout, "\x1b") {
			t.Errorf("%s: colours in a pipe", view)
		}
	}
}
