package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kax/internal/need"
	"kax/internal/timeline"
	"kax/tcpka"
)

// opened is a connection that this process holds, and which kax looks at from
// outside, by its listener's port.
type opened struct {
	listener       *net.TCPListener
	client, server *net.TCPConn
}

func (h opened) port() string { return strconv.Itoa(h.listener.Addr().(*net.TCPAddr).Port) }

func openConn(t *testing.T, client, server tcpka.Settings) opened {
	t.Helper()
	var l net.Listener
	for used := true; used; {
		var err error
		if l, err = server.ListenConfig().Listen(context.Background(), "tcp4", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		// Clients of a server that had this port before may be in TIME-WAIT.
		all, err := os.ReadFile("/proc/thread-self/net/tcp")
		if err != nil {
			t.Fatal(err)
		}
		used = strings.Count(string(all), fmt.Sprintf(":%04X ", l.Addr().(*net.TCPAddr).Port)) > 1
	}
	c, err := client.Dialer().Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return opened{l.(*net.TCPListener), c.(*net.TCPConn), s.(*net.TCPConn)}
}

func numberOf(t *testing.T, c syscall.Conn) int {
	t.Helper()
	rc, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := -1
	_ = rc.Control(func(fd uintptr) { number = int(fd) })
	return number
}

var (
	noKeepalive = tcpka.Settings{}
	slow        = tcpka.Settings{Enabled: true, Idle: 7200 * time.Second, Interval: 75 * time.Second, Count: 9}
	prompt      = tcpka.Settings{Enabled: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3, UserTimeout: 2500 * time.Millisecond}
	rareInVain  = tcpka.Settings{Enabled: true, Idle: 30 * time.Second, Interval: 400 * time.Second, Count: 3}
)

// listing demands a header and sockets after it.
func listing(t *testing.T, r result, headers int) []timeline.Socket {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(r.stdout))
	dec.DisallowUnknownFields()
	var list []timeline.Socket
	for n := 0; ; n++ {
		var rec timeline.Record
		if err := dec.Decode(&rec); err == io.EOF {
			if n == 0 {
				t.Fatalf("no records: %s", r)
			}
			return list
		} else if err != nil {
			t.Fatalf("%v: %s", err, r)
		}
		if n < headers != (rec.Header != nil) || n >= headers != (rec.Socket != nil) {
			t.Fatalf("record %d is neither: %s", n, r)
		}
		if rec.Header != nil && rec.Header.Command != "tcp sockets" {
			t.Errorf("header %+v", rec.Header)
		}
		if rec.Socket != nil {
			list = append(list, *rec.Socket)
		}
	}
}

// lends skips a test where not even a process of the same user lends its
// sockets (ptrace(2), /proc/sys/kernel/yama/ptrace_scope). The tests that count
// sockets are in a network of their own: on the host's, those of others may have
// the same port, and linger in TIME-WAIT.
func lends(t *testing.T) {
	t.Helper()
	h := openConn(t, prompt, prompt)
	if s := listing(t, run(t, kax(asIs, "tcp", "sockets", "--port", h.port(), "--json")), 1); len(s) == 3 && s[0].KeepaliveTimes == nil {
		need.Permission(t, "borrow a descriptor", fmt.Errorf("%s", s[0].Unread))
	}
}

func TestSocketsJSON(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	lends(t)
	h := openConn(t, prompt, noKeepalive)
	res := run(t, kax(asIs, "tcp", "sockets", "--port", h.port(), "--sort", "state", "--json"))
	list := listing(t, res, 1)
	if res.code != 0 || res.stderr != "" || len(list) != 3 {
		t.Fatal(res)
	}
	slices.SortStableFunc(list[:2], func(a, b timeline.Socket) int { return b.Peer.Compare(a.Peer) })
	for i, want := range []struct {
		conn     syscall.Conn
		state    string
		settings tcpka.Settings
	}{{h.client, "ESTAB", prompt}, {h.server, "ESTAB", noKeepalive}, {h.listener, "LISTEN", noKeepalive}} {
		s := list[i]
		if i < 2 && s.Peer == h.client.LocalAddr().(*net.TCPAddr).AddrPort() != (i == 1) {
			s = list[1-i]
		}
		effective, err := tcpka.Get(want.conn)
		if err != nil {
			t.Fatal(err)
		}
		o := timeline.Options(effective)
		if s.State != want.state || s.PID != os.Getpid() || s.FD == nil || *s.FD != numberOf(t, want.conn) || s.UID != uint32(os.Getuid()) {
			t.Errorf("%+v", s)
		}
		if s.Keepalive == nil || *s.Keepalive != want.settings.Enabled || s.KeepaliveTimes == nil || s.Unread != "" ||
			*s.KeepaliveTimes != (timeline.KeepaliveTimes{Idle: o.Idle, Interval: o.Interval, Count: o.Count, UserTimeout: o.UserTimeout}) {
			t.Errorf("%+v has keepalive %v, %+v, want %+v", s, s.Keepalive, s.KeepaliveTimes, o)
		}
	}
}

func TestSocketsTable(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	lends(t)
	h := openConn(t, prompt, noKeepalive)
	res := run(t, kax(asIs, "tcp", "sockets", "--port", h.port()))
	lines := strings.Split(res.stdout, "\n")
	if res.code != 0 || res.stderr != "" || len(lines) != 6 || !strings.HasPrefix(lines[0], "state ") ||
		lines[4] != "3 sockets: 1 with keepalive on, 2 off, 0 unknown" {
		t.Fatal(res)
	}
	for _, want := range []string{"on 30s/10s/3 ", "  timeout\n", "  2.5s\n", h.client.LocalAddr().String(), "LISTEN", strconv.Itoa(os.Getpid()), " off "} {
		if !strings.Contains(res.stdout, want) {
			t.Errorf("no %q: %s", want, res)
		}
	}
}

func TestSocketsFilters(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	lends(t)
	h := openConn(t, prompt, noKeepalive)
	for args, want := range map[string]int{
		"":                                      3,
		"--state listen":                        1,
		"--state ESTABLISHED,close-wait":        2,
		"--with-keepalive on":                   1,
		"--with-keepalive off":                  2,
		"--with-keepalive unknown":              0,
		"--with-keepalive off --state listen":   1,
		"--idle-over 1h":                        0,
		fmt.Sprintf("--pid %d", os.Getpid()):    3,
		"--idle-over 1us --with-keepalive=off":  1,
		"--sort idle --state estab --color=any": -1,
	} {
		res := run(t, kax(asIs, append([]string{"tcp", "sockets", "--json", "--port", h.port()}, strings.Fields(args)...)...))
		if want < 0 {
			if res.code != exitUsage {
				t.Errorf("%s: %s", args, res)
			}
			continue
		}
		if list := listing(t, res, 1); res.code != 0 || len(list) != want {
			t.Errorf("%s: %d sockets, want %d: %s", args, len(list), want, res)
		}
	}
}

// A socket that no process has open has no settings that one could know.
func TestSocketsWithoutAProcess(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	lends(t)
	h := openConn(t, noKeepalive, noKeepalive)
	h.client.Close()
	_, _ = io.Copy(io.Discard, h.server)
	h.server.Close()
	args := []string{"tcp", "sockets", "--port", h.port()}
	res := run(t, kax(asIs, args...))
	if !strings.HasSuffix(res.stdout, "2 sockets: 0 with keepalive on, 1 off, 0 unknown, 1 without a process\n") {
		t.Error(res)
	}
	res = run(t, kax(asIs, append(args, "--with-keepalive", "unknown", "--json")...))
	if list := listing(t, res, 1); len(list) != 0 {
		t.Error(res)
	}
}

// Another user's sockets are listed, with what the kernel tells of them, and
// why there is no more; they count with --strict only.
func TestSocketsOfAnotherUser(t *testing.T) {
	t.Parallel()
	need.Root(t)
	h := openConn(t, prompt, noKeepalive)
	res := run(t, ordinary(kax(asIs, "tcp", "sockets", "--port", h.port(), "--json")))
	list := listing(t, res, 1)
	if res.code != 0 || len(list) != 3 {
		t.Fatal(res)
	}
	for _, s := range list {
		client := s.Local.String() == h.client.LocalAddr().String()
		if s.PID != 0 || s.FD != nil || s.KeepaliveTimes != nil || s.Unread != "another user's: needs root" ||
			(s.Keepalive != nil) != client || client && !*s.Keepalive {
			t.Errorf("%+v", s)
		}
	}
	for args, code := range map[string]int{"--loopback": 0, "--loopback --strict": exitProblem, "--strict": 0} {
		args := append([]string{"tcp", "sockets", "--cut-by", "350", "--port", h.port()}, strings.Fields(args)...)
		res := run(t, ordinary(kax(asIs, args...)))
		if res.code != code || slices.Contains(args, "--loopback") != strings.Contains(res.stdout, "Of 2 connections it is not known") {
			t.Errorf("%v: %s", args, res)
		}
	}
	res = run(t, ordinary(kax(asIs, "tcp", "sockets", "--pid", strconv.Itoa(os.Getpid()))))
	if res.code != exitUnable || res.stdout != "" || !strings.Contains(res.stderr, "permission denied") || !strings.Contains(res.stderr, "hint: ") {
		t.Error(res)
	}
}

func TestSocketsOfNoProcess(t *testing.T) {
	t.Parallel()
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	pid := gone.Process.Pid
	res := run(t, kax(asIs, "tcp", "sockets", "--pid", strconv.Itoa(pid)))
	if res.code != exitFailed || res.stdout != "" || res.stderr != fmt.Sprintf("kax: process %d: no such process\n", pid) {
		t.Error(res)
	}
}

// A process may have other things open than TCP sockets.
func TestSocketsOfAProcessWithout(t *testing.T) {
	t.Parallel()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	a := os.NewFile(uintptr(pair[0]), "unix")
	defer a.Close()
	u, err := udp.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	cat := exec.Command("cat")
	cat.ExtraFiles = []*os.File{a, u}
	in, err := cat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	defer cat.Wait()
	defer in.Close()
	res := run(t, kax(asIs, "tcp", "sockets", "--pid", strconv.Itoa(cat.Process.Pid)))
	if res.code != 0 || !strings.Contains(res.stdout, "0 sockets") || !strings.Contains(res.stderr, "descriptors is a TCP socket") {
		t.Error(res)
	}
}

// --pid looks in the process's own network; who may not enter it is told so.
func TestSocketsInAnotherNetwork(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	server := start(t, kax(freshNet, "http", "serve", "127.0.0.1:0", "--keepidle", "7"))
	server.until(t, "http://")
	_, addr, _ := strings.Cut(strings.TrimSpace(server.stdout.String()), "//")
	addr = strings.Trim(addr, "/")
	res := run(t, kax(asIs, "tcp", "sockets", "--json", "--pid", strconv.Itoa(server.cmd.Process.Pid)))
	if res.code == exitUnable {
		if !strings.Contains(res.stderr, "network namespace") || !strings.Contains(res.stderr, "hint: ") || os.Geteuid() == 0 {
			t.Error(res)
		}
		return
	}
	list := listing(t, res, 1)
	if len(list) != 1 || list[0].State != "LISTEN" || list[0].Local != netip.MustParseAddrPort(addr) ||
		list[0].PID != server.cmd.Process.Pid || list[0].KeepaliveTimes == nil || list[0].Idle != timeline.Seconds(7*time.Second) {
		t.Error(res)
	}
}

// The shell completes from the live table.
func TestCompleteSockets(t *testing.T) {
	t.Parallel()
	if !inside(t) { // where no other test moves this process's main thread to another network
		return
	}
	h := openConn(t, prompt, noKeepalive)
	pid, peer := strconv.Itoa(os.Getpid()), h.client.RemoteAddr().String()
	for args, want := range map[string]string{
		"sockets --pid":                 pid + "\t",
		"sockets --state":               "close-wait\n",
		"sockets --sort":                "idle\n",
		"sockets --with-keepalive":      "unknown\n",
		"set --peer":                    peer + "\n",
		"poke --pid":                    pid + "\t",
		"get --peer":                    peer + "\n",
		"get --pid " + pid + " --peer":  peer + "\n",
		"get --pid " + pid + " --local": peer + "\n",
		"get --pid " + pid + " --fd":    fmt.Sprintf("%d\tESTAB ", numberOf(t, h.client)),
		"get":                           "",
		"plan":                          "",
		"dial":                          "",
		"dial --source":                 "counters\n",
		"dial --interface":              "lo\n",
		"sockets --state established,":  "established,close-wait\n",
	} {
		fields := append(strings.Fields("__complete tcp "+args), "")
		if strings.HasSuffix(args, ",") {
			fields = fields[:len(fields)-1]
		}
		res := run(t, kax(asIs, fields...))
		if res.code != 0 || !strings.Contains(res.stdout, want) || !strings.HasSuffix(res.stdout, ":4\n") {
			t.Errorf("%s: no %q: %s", args, want, res)
		}
	}
	other := start(t, kax(asIs, "tcp", "listen", "127.0.0.1:0", "--source", "counters"))
	other.until(t, "listen")
	res := run(t, kax(asIs, "__complete", "tcp", "get", "--pid", strconv.Itoa(other.cmd.Process.Pid), "--peer", ""))
	if strings.Contains(res.stdout, peer) {
		t.Errorf("a process without connections has a peer: %s", res)
	}
}

// In a new network there is nothing.
func TestSocketsAlone(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	res := run(t, kax(freshNet, "tcp", "sockets"))
	if res.code != 0 || res.stdout != "0 sockets: 0 with keepalive on, 0 off, 0 unknown\n" || res.stderr != "" {
		t.Error(res)
	}
}
