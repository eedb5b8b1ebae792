package cli

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kax/internal/capture"
	"kax/internal/need"
	"kax/internal/netns"
	"kax/internal/observe"
	"kax/internal/timeline"
	"kax/tcpka"
)

// watch starts kax watch, and waits until it captures.
func watch(t *testing.T, args ...string) *running {
	t.Helper()
	r := start(t, kax(asIs, append([]string{"watch"}, args...)...))
	capturing(t, 1)
	return r
}

// capturing waits until so many packet sockets capture in this network.
func capturing(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		list, err := os.ReadFile("/proc/self/net/packet")
		if err != nil {
			t.Fatal(err)
		}
		// Its headings, and protocol 3 (ETH_P_ALL) of those that are bound.
		if strings.Count(string(list), " 0003 ") >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody captures:\n%s", list)
		}
	}
}

// interrupt ends it as ^C does.
func (r *running) interrupt(t *testing.T) result {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	return r.end(t)
}

func serve(t *testing.T, listener net.Listener) {
	t.Helper()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 1<<10)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			}()
		}
	}()
}

// ask sends so many requests over one connection.
func ask(t *testing.T, addr string, n int) {
	t.Helper()
	c := connect(t, addr)
	buf := make([]byte, 1<<10)
	for range n {
		fmt.Fprintf(c, "GET /watched HTTP/1.1\r\nHost: %s\r\n\r\n", addr)
		if _, err := c.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	// When the server's end has come, on lo the last packet has been sent.
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// passed is how many packets have passed lo (proc_pid_net(5)).
func passed(t *testing.T) int {
	t.Helper()
	table, err := os.ReadFile("/proc/self/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	_, lo, _ := strings.Cut(string(table), " lo:")
	var bytes, packets int
	if _, err := fmt.Sscan(lo, &bytes, &packets); err != nil {
		t.Fatalf("%v: %s", err, table)
	}
	return packets
}

// What is seen live is what kax read makes of the packets that were written.
func TestWatchIsRead(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	file := filepath.Join(t.TempDir(), "watched.pcapng")
	r := watch(t, "--json", "-w", file)
	p := newPeer(t, "127.0.0.1:0")
	serve(t, p)
	ask(t, p.addr, 3)
	r.until(t, `"kind":"fin"`)
	live := r.interrupt(t)
	if live.code != 0 {
		t.Fatal(live)
	}
	afterHeader := func(out string) string {
		_, rest, _ := strings.Cut(out, "\n")
		return rest
	}
	if read := run(t, kax(asIs, "read", "--json", file)); afterHeader(read.stdout) != afterHeader(live.stdout) {
		t.Errorf("live:\n%s\nread:\n%s", live, read)
	}
	if got := parse(t, live); got.summary.Requests != 3 || got.header.Settings.Interface != "all" || got.summary.Dropped != 0 {
		t.Errorf("header %+v, summary %+v", got.header, got.summary)
	}
}

// Probes and zero-window probes, which have the same bytes, are as many as the
// kernel counts of each.
func TestWatchAgreesWithTheKernel(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	count := func(name string) int {
		n, err := netns.Counter("TcpExt", name)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	r := watch(t, "--json")
	p := newPeer(t, "127.0.0.1:0")
	idle, err := (tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 5}).Dialer().Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	p.accept(t)
	full := connect(t, p.addr)
	p.accept(t) // and never reads
	if err := full.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(full, zeros{}); err == nil {
		t.Fatal("a window that is never closed")
	}
	for range 3 {
		r.until(t, `"kind":"window-probe"`)
	}
	for range 2 {
		r.until(t, `"kind":"probe"`)
	}
	idle.Close()
	if err := full.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	full.Close()
	r.until(t, `"kind":"rst"`)
	probes, windowProbes := count("TCPKeepAlive"), count("TCPWinProbe")
	got := parse(t, r.interrupt(t))
	if n := got.summary.Events["probe"]; n != probes || n == 0 {
		t.Errorf("%d probes, the kernel counts %d", n, probes)
	}
	if n := got.summary.Events["window-probe"]; n != windowProbes || n == 0 {
		t.Errorf("%d zero-window probes, the kernel counts %d", n, windowProbes)
	}
}

// zeros has no end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// A terminal that is stopped stops neither the capture nor the counting: kax has
// seen what the kernel has counted.
func TestWatchWithASlowOutput(t *testing.T) { // not in parallel: it takes a processor for itself
	if !inside(t) {
		return
	}
	p := newPeer(t, "127.0.0.1:0")
	serve(t, p)
	out, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := kax(asIs, "watch", "-i", "lo", "--port", fmt.Sprint(p.port))
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdout.Close()
	capturing(t, 1)
	before := passed(t)
	for range 10 {
		ask(t, p.addr, 300) // far more than the pipe and the queue hold
	}
	want := passed(t) - before
	for quiet := 0; quiet < 5; time.Sleep(20 * time.Millisecond) { // until it has taken all there is
		if quiet++; computes(t, cmd.Process.Pid) {
			quiet = 0
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, stderr.String())
	}
	for _, line := range []string{
		fmt.Sprintf("%d packets, 10 connections, 3000 requests", want),
		"records: the output was too slow for them",
	} {
		if !strings.Contains(strings.Join(strings.Fields(string(text)), " "), line) {
			t.Errorf("no %q in %d bytes, which end with:\n%s", line, len(text), text[max(0, len(text)-1500):])
		}
	}
}

// computes reports whether a thread of the process runs or would (proc(5): state R).
func computes(t *testing.T, pid int) bool {
	t.Helper()
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(stats) == 0 {
		t.Fatal(stats, err)
	}
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // a thread that has ended
		}
		_, after, _ := strings.Cut(string(text), ") ")
		if strings.HasPrefix(after, "R") {
			return true
		}
	}
	return false
}

// Once it captures, kax may do nothing that an ordinary user may not.
func TestWatchGivesUpPrivileges(t *testing.T) { // not in parallel: it takes a processor for itself
	goTool := need.Tool(t, "go")
	if !inside(t) {
		return
	}
	program := filepath.Join(t.TempDir(), "kax")
	build := exec.Command(goTool, "build", "-o", program, "kax/cmd/kax")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	r := start(t, exec.Command(program, "watch", "-i", "lo"))
	capturing(t, 1)
	p := newPeer(t, "127.0.0.1:0")
	serve(t, p)
	ask(t, p.addr, 1)
	r.until(t, "SYN") // so it has begun
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", r.cmd.Process.Pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("%v, %v", tasks, err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has ended
		}
		for _, want := range []string{"CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "NoNewPrivs:\t1"} {
			if !strings.Contains(string(status), want) {
				t.Errorf("%s has no %q:\n%s", task, want, status)
			}
		}
	}
	if res := r.interrupt(t); res.code != 0 {
		t.Error(res)
	}
}

// The connection that kax is used over is left out, and that is said.
func TestWatchLeavesSSHOut(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	p := newPeer(t, "127.0.0.1:0")
	serve(t, p)
	own := connect(t, p.addr)
	cmd := kax(asIs, "watch", "--json")
	cmd.Env = append(cmd.Env, fmt.Sprintf("SSH_CONNECTION=127.0.0.1 %d 127.0.0.1 %d", own.LocalAddr().(*net.TCPAddr).Port, p.port))
	r := start(t, cmd)
	capturing(t, 1)
	fmt.Fprint(own, "GET / HTTP/1.1\r\n\r\n")
	if _, err := own.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	ask(t, p.addr, 1)
	r.until(t, `"kind":"fin"`)
	res := r.interrupt(t)
	got := parse(t, res)
	if got.summary.Connections != 1 || got.summary.Requests != 1 || !strings.Contains(res.stderr, "own SSH connection") {
		t.Error(res)
	}
}

func TestWatchUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		code int
		want []string // on stderr
	}{
		{"port 80", 2, []string{"unexpected argument", "kax watch --port 80"}},
		{"tcp port 80 and host 192.0.2.1", 2, []string{"kax watch --port 80 --host 192.0.2.1"}},
		{"something", 2, []string{"unexpected argument", "--host and --port"}},
		{"not port 22", 2, []string{"tcpdump takes expressions"}},
		{"--port 70000", 2, []string{"70000", "must be a port from 1 to 65535"}},
		{"--port http", 2, []string{"http", "must be a port"}},
		{"--host no.such.name.invalid", 1, []string{"--host no.such.name.invalid"}},
		{"-w -", 2, []string{"--write"}},
		{"-c 0", 2, []string{"--count"}},
		{"-i nothere0 --for 1s", 1, []string{"nothere0", "this machine has"}},
	} {
		res := run(t, kax(asIs, append([]string{"watch"}, strings.Fields(tt.args)...)...))
		if res.code != tt.code || slices.ContainsFunc(tt.want, func(w string) bool { return !strings.Contains(res.stderr, w) }) {
			t.Errorf("%s: %s\nwant code %d, %q", tt.args, res, tt.code, tt.want)
		}
	}
	res := run(t, kax(asIs, "watch", "--tcpdump", "-i", "lo", "--port", "80", "--port", "81", "--host", "192.0.2.1"))
	if want := "tcpdump -i lo -n 'tcp and (port 80 or port 81) and host 192.0.2.1'\n"; res.stdout != want {
		t.Errorf("%s\nwant %s", res, want)
	}
}

func TestAsFlags(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"tcp port 80":                           " --port 80",
		"port 80 or port 81 and host a":         " --port 80 --port 81 --host a",
		"port 80 and (host a or host b)":        " --port 80 --host a --host b",
		"tcp and host a and port 80":            " --host a --port 80",
		"port 80 and host a or host b":          "", // (port 80 and host a) or host b
		"host a and host b":                     "", // both
		"port 80 or host a":                     "",
		"not port 22":                           "",
		"src host a":                            "",
		"net 192.0.2.0/24":                      "",
		"port 80 and (port 81 or (host a))":     "",
		"tcp":                                   "",
		"tcp[tcpflags] & tcp-syn != 0 and port": "",
	} {
		if got := asFlags(expression); got != want {
			t.Errorf("%s: %q, want %q", expression, got, want)
		}
	}
}

// Without leave to capture it says what would help.
func TestWatchWithoutPrivilege(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	if res := run(t, kax(noRaw, "watch")); res.code != exitUnable || !strings.Contains(res.stderr, "CAP_NET_RAW") || !strings.Contains(res.stderr, "kax read -") {
		t.Error(res)
	}
}

// Under load each allocation for a packet is felt: there is none.
func TestWatchAllocatesNothing(t *testing.T) { // not in parallel: it counts what the process allocates
	if !inside(t) {
		return
	}
	live, err := capture.OpenLive()
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	p := newPeer(t, "127.0.0.1:0")
	if err := live.Start(capture.Filter{Ports: []uint16{p.port}}); err != nil {
		t.Fatal(err)
	}
	c := connect(t, p.addr)
	peer := p.accept(t)
	const packets = 2000
	for range packets { // each with its acknowledgment
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := peer.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	o := observe.Observer{Live: true, Once: true, Observing: timeline.Observing{NoEvents: true}, Emit: func(timeline.Record) {}}
	w := watching{live: live, count: packets}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := w.feed(t.Context(), &o, nil); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; o.Packets() != packets || n > packets/10 {
		t.Errorf("%d packets, %d allocations", o.Packets(), n)
	}
}
