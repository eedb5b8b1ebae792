package cli

import (
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"kax/internal/netns"
	"kax/internal/sockets"
	"kax/internal/testnet"
	"kax/internal/timeline"
	"kax/tcpka"
)

// servers are the programs that kax knows nothing of.
var servers = map[string]func(*testing.T) *foreign{
	"python":      func(t *testing.T) *foreign { return pythonServer(t, "127.0.0.1") },
	"python-ipv6": func(t *testing.T) *foreign { return pythonServer(t, "::1") },
	"nginx":       nginxServer,
	"sshd":        sshdServer,
}

func eachServer(t *testing.T, test func(*testing.T, *foreign)) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
}

func (f *foreign) settings(t *testing.T) tcpka.Settings {
	t.Helper()
	s, err := tcpka.GetFD(f.FD())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (f *foreign) stillServes(t *testing.T) {
	t.Helper()
	if err := f.exchange(); err != nil {
		t.Errorf("the program does not go on: %v", err)
	}
}

func TestGetForeign(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *foreign) {
		before := f.options(t)
		res := run(t, kax(asIs, "tcp", "get", "--pid", f.pid(), "--fd", f.fd(), "--json"))
		if res.code != 0 {
			t.Fatal(res)
		}
		found := parseOpen(t, res).sockets
		if len(found) != 1 {
			t.Fatal(res)
		}
		s, want := found[0], f.settings(t)
		if got := (tcpka.Settings{Enabled: *s.Keepalive, Idle: time.Duration(s.Idle), Interval: time.Duration(s.Interval), Count: s.Count,
			UserTimeout: time.Duration(s.UserTimeout)}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		here := netip.MustParseAddrPort(f.conn.LocalAddr().String())
		if s.State != "ESTAB" || s.Peer != here || s.PID != f.PID || *s.FD != f.Number || s.Process == "" || int(s.UID) != os.Geteuid() || s.Next == "" ||
			s.LastAck == nil {
			t.Errorf("not the socket that %v is connected to: %s", here, res)
		}
		if res := run(t, kax(asIs, "tcp", "get", "--pid", f.pid(), "--peer", ":"+f.port())); res.code != 0 || !strings.Contains(res.stdout, here.String()) {
			t.Error(res)
		}
		unchanged(t, before, f.options(t))
		f.stillServes(t)
	})
}

func TestSetForeign(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, f *foreign) {
		// One after the other, on the same socket.
		for _, tc := range []struct {
			args string
			want func(*tcpka.Settings)
			opts [][2]int
			next string
		}{
			{"--keepidle 4321", func(s *tcpka.Settings) { s.Enabled, s.Idle = true, 4321*time.Second }, [][2]int{soKeepalive, tcpKeepidle}, "starts a full idle time"},
			{"--keepintvl 54s", func(s *tcpka.Settings) { s.Interval = 54 * time.Second }, [][2]int{tcpKeepintvl}, "the pending timer stays"},
			{"--keepcnt 6", func(s *tcpka.Settings) { s.Count = 6 }, [][2]int{tcpKeepcnt}, "6 unanswered in a row"},
			{"--user-timeout 1m", func(s *tcpka.Settings) { s.UserTimeout = time.Minute }, [][2]int{tcpUserTimeout}, "takes the place of the count"},
			{"--no-keepalive", func(s *tcpka.Settings) { s.Enabled = false }, [][2]int{soKeepalive}, "no probes: keepalive is off"},
			{"--user-timeout 0", func(s *tcpka.Settings) { s.UserTimeout = 0 }, [][2]int{tcpUserTimeout}, "no probes: keepalive is off"},
			{"--keepalive", func(s *tcpka.Settings) { s.Enabled = true }, [][2]int{soKeepalive}, "starts a full idle time"},
			{"--keepidle 1000 --keepintvl 11 --keepcnt 12 --user-timeout 90s", func(s *tcpka.Settings) {
				s.Idle, s.Interval, s.Count, s.UserTimeout = 1000*time.Second, 11*time.Second, 12, 90*time.Second
			}, [][2]int{tcpKeepidle, tcpKeepintvl, tcpKeepcnt, tcpUserTimeout}, "a probe in "},
		} {
			before, was := f.options(t), f.settings(t)
			args := append([]string{"tcp", "set", "--json", "--pid", f.pid(), "--fd", f.fd()}, strings.Fields(tc.args)...)
			res := run(t, kax(asIs, args...))
			if res.code != 0 {
				t.Fatal(res)
			}
			want := was
			tc.want(&want)
			if want == was {
				t.Fatalf("%s changes nothing", tc.args)
			}
			c := parseOpen(t, res).changes[0]
			if c.Before != timeline.Options(was) || c.After != timeline.Options(want) || !strings.Contains(c.Next, tc.next) {
				t.Errorf("%s: %s", tc.args, res)
			}
			if got := f.settings(t); got != want {
				t.Errorf("%s: the socket has %+v, want %+v", tc.args, got, want)
			}
			unchanged(t, before, f.options(t), tc.opts...)
		}
		f.stillServes(t)
	})
}

// inNetwork starts a python server in a network of its own and does the rest
// there; kax, which knows of no namespace, runs where the test runs.
func inNetwork(t *testing.T, test func(*foreign) error) {
	testnet.In(t, func() error { return test(pythonServer(t, "127.0.0.1")) })
}

func keepalives(t *testing.T, want int) {
	t.Helper()
	if n, err := netns.Counter("TcpExt", "TCPKeepAlive"); err != nil || n != want {
		t.Errorf("the kernel has sent %d probes, want %d; %v", n, want, err)
	}
}

// outside runs kax in the network of the test's process.
func outside(t *testing.T, args ...string) result {
	t.Helper()
	done := make(chan result)
	go func() { done <- run(t, kax(asIs, args...)) }()
	return <-done
}

func TestAnotherNetwork(t *testing.T) {
	t.Parallel()
	inNetwork(t, func(f *foreign) error {
		if err := os.WriteFile("/proc/sys/net/ipv4/tcp_keepalive_time", []byte("777"), 0); err != nil {
			return err
		}
		if res := outside(t, "tcp", "get", "--pid", f.pid(), "--fd", f.fd()); res.code != 0 || !strings.Contains(res.stdout, "12m57s") {
			t.Error(res)
		}
		f.quiet(t, time.Second)
		res := outside(t, "tcp", "poke", "--pid", f.pid(), "--peer", "localhost:"+f.port())
		if res.code != 0 || !strings.Contains(res.stdout, "answered within") || !strings.Contains(res.stdout, "12m57s, was only that of the sysctl") {
			t.Error(res)
		}
		keepalives(t, 1)
		// An idle time of one's own is nobody's affair, and one that has passed
		// fires at once.
		if res := outside(t, "tcp", "set", "--pid", f.pid(), "--fd", f.fd(), "--keepidle", "600"); res.code != 0 {
			t.Error(res)
		}
		f.quiet(t, time.Second)
		keepalives(t, 1)
		res = outside(t, "tcp", "set", "--pid", f.pid(), "--fd", f.fd(), "--keepidle", "1")
		if res.code != 0 || !strings.Contains(res.stdout, "10m → 1s") || !strings.Contains(res.stdout, "a probe at once") {
			t.Error(res)
		}
		eventually(t, "the probe goes at once", func() bool {
			n, err := netns.Counter("TcpExt", "TCPKeepAlive")
			return err != nil || n == 2
		})
		if res := outside(t, "tcp", "set", "--pid", f.pid(), "--fd", f.fd(), "--keepidle", "600"); res.code != 0 {
			t.Error(res)
		}
		f.quiet(t, time.Second)
		if res := outside(t, "tcp", "poke", "--pid", f.pid(), "--fd", f.fd()); res.code != 0 || strings.Contains(res.stdout, "sysctl") {
			t.Error(res)
		}
		f.stillServes(t)
		return nil
	})
}

// What cannot be had is told in one line, with the right exit code.
func TestTargets(t *testing.T) {
	t.Parallel()
	server, addr, listener, udp, unixSocket := python(t, "127.0.0.1")
	conn := dial(t, addr)
	f := meet(t, server.Process.Pid, conn)
	other := meet(t, server.Process.Pid, dial(t, addr))
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	dead := strconv.Itoa(gone.Process.Pid)
	tasks, err := os.ReadDir("/proc/" + f.pid() + "/task")
	if err != nil || len(tasks) < 2 {
		t.Fatal(tasks, err)
	}
	thread := tasks[1].Name()
	_, port, _ := strings.Cut(addr, ":")
	for _, tc := range []struct {
		args string
		code int
		want []string
	}{
		{"--pid " + dead + " --fd 3", 1, []string{"process " + dead + ": no such process"}},
		{"--pid " + dead + " --peer :1", 1, []string{"process " + dead + ": no such process"}},
		{"--pid " + thread + " --fd 3", 1, []string{"no such process"}},
		{"--pid " + f.pid() + " --fd 1", 1, []string{"descriptor 1: not a TCP socket"}},
		{"--pid " + f.pid() + " --fd " + udp, 1, []string{"not a TCP socket"}},
		{"--pid " + f.pid() + " --fd " + unixSocket, 1, []string{"not a TCP socket"}},
		{"--pid " + f.pid() + " --fd 999", 1, []string{"descriptor 999: no such descriptor"}},
		{"--pid " + f.pid() + " --peer :1", 1, []string{"none of the 3 TCP sockets"}},
		{"--pid " + f.pid() + " --peer 192.0.2.1:" + f.port(), 1, []string{"none of the 3 TCP sockets"}},
		{"--pid " + f.pid() + " --peer no.such.host.invalid:80", 1, []string{"no.such.host.invalid"}},
		{"--pid " + f.pid() + " --local :" + port, 2, []string{"3 sockets match", "--fd " + listener, "--fd " + f.fd(), f.conn.LocalAddr().String(), "--fd " + other.fd()}},
		{"--pid " + f.pid(), 2, []string{"--fd, --peer and --local"}},
		{"--fd 3", 2, []string{"--pid is needed", "kax tcp sockets"}},
		{"--peer :443", 2, []string{"--pid is needed"}},
		{"--pid 0 --fd 3", 2, []string{"--pid", "from 1 on"}},
		{"--pid " + f.pid() + " --fd x", 2, []string{"--fd", "from 0 on"}},
		{"--pid " + f.pid() + " --fd 3 --peer :1", 2, []string{"--fd, and --peer or --local"}},
		{"--pid " + f.pid() + " --peer host", 2, []string{"HOST:PORT"}},
		{"--pid " + f.pid() + " --peer host:", 2, []string{"the port"}},
	} {
		t.Run(tc.args, func(t *testing.T) {
			t.Parallel()
			for command, more := range map[string]string{"get": "", "set": "--keepidle 1234", "poke": ""} {
				res := run(t, kax(asIs, append([]string{"tcp", command}, strings.Fields(tc.args+" "+more)...)...))
				text, hint, hinted := strings.Cut(res.stderr, "\n")
				if res.code != tc.code || res.stdout != "" || !strings.HasPrefix(text, "kax: ") || hinted && hint != "" && (!strings.HasPrefix(hint, "hint: ") || strings.Count(hint, "\n") != 1) {
					t.Errorf("%s: want exit code %d and a line: %s", command, tc.code, res)
				}
				for _, want := range tc.want {
					if !strings.Contains(res.stderr, want) {
						t.Errorf("%s: no %q: %s", command, want, res)
					}
				}
			}
		})
	}
	t.Cleanup(func() { // after the parallel ones
		for _, f := range []*foreign{f, other} {
			if s := f.settings(t); s.Enabled || s.Idle == 1234*time.Second {
				t.Errorf("changed by what was refused: %+v", s)
			}
		}
	})
}

func TestAll(t *testing.T) {
	t.Parallel()
	server, addr, _, _, _ := python(t, "127.0.0.1")
	first := meet(t, server.Process.Pid, dial(t, addr))
	second := meet(t, server.Process.Pid, dial(t, addr))
	_, port, _ := strings.Cut(addr, ":")
	res := run(t, kax(asIs, "tcp", "set", "--pid", first.pid(), "--local", ":"+port, "--all", "--keepidle", "1234", "--json"))
	changes := parseOpen(t, res).changes
	if res.code != 0 || len(changes) != 3 {
		t.Fatal(res)
	}
	for _, f := range []*foreign{first, second} {
		if s := f.settings(t); !s.Enabled || s.Idle != 1234*time.Second {
			t.Errorf("%+v", s)
		}
	}
	if changes[0].State != "LISTEN" || changes[0].Peer.IsValid() || !strings.Contains(changes[0].Next, "accepted from now on") {
		t.Error(res)
	}
	// Accepted since, it has the listener's.
	if s := meet(t, server.Process.Pid, dial(t, addr)).settings(t); !s.Enabled || s.Idle != 1234*time.Second {
		t.Errorf("accepted later: %+v", s)
	}
	res = run(t, kax(asIs, "tcp", "get", "--pid", first.pid(), "--all"))
	if res.code != 0 || strings.Count(res.stdout, "descriptor") != 4 {
		t.Error(res)
	}
}

// Another user's process is out of reach, and kax says whose it is.
func TestAnotherUser(t *testing.T) {
	t.Parallel()
	f := pythonServer(t, "127.0.0.1")
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become somebody else") // the other half of the story is below
	}
	for _, which := range [][]string{{"--fd", f.fd()}, {"--peer", ":" + f.port()}} {
		res := run(t, ordinary(kax(asIs, append([]string{"tcp", "get", "--pid", f.pid()}, which...)...)))
		if res.code != exitUnable || !strings.Contains(res.stderr, "is run by root") || !strings.Contains(res.stderr, "hint: its sockets are for root only") || res.stdout != "" {
			t.Error(res)
		}
	}
}

// A process that ends while it is looked at is told as gone.
func TestVanishingProcess(t *testing.T) {
	t.Parallel()
	server, _, _, _, _ := python(t, "127.0.0.1")
	p, err := sockets.OpenProcess(server.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_ = server.Process.Kill()
	_ = server.Wait()
	_, borrowErr := p.Borrow(3)
	_, _, _, socketsErr := p.Sockets(func(*sockets.Borrowed) bool { return true })
	_, uidErr := p.UID()
	for _, err := range []error{borrowErr, socketsErr, uidErr} {
		if err == nil || !strings.HasSuffix(err.Error(), "no such process") {
			t.Errorf("%v", err)
		}
	}
}

// What kax sets for a moment no other kax takes for the socket's own, and one
// that sets meanwhile waits.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	f := pythonServer(t, "127.0.0.1")
	f.quiet(t, time.Second)
	unlock, err := f.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := kax(asIs, "tcp", "set", "--pid", f.pid(), "--fd", f.fd(), "--keepidle", "77")
	ended := make(chan result, 1)
	go func() { ended <- run(t, cmd) }()
	select {
	case res := <-ended:
		t.Errorf("it did not wait: %s", res)
		ended <- res
	case <-time.After(300 * time.Millisecond): // for nothing to happen
	}
	unlock()
	if res := <-ended; res.code != 0 || f.settings(t).Idle != 77*time.Second {
		t.Errorf("%v, %s", f.settings(t), res)
	}
	var pokes []chan result
	for range 6 {
		done := make(chan result, 1)
		pokes = append(pokes, done)
		go func() { done <- run(t, kax(asIs, "tcp", "poke", "--pid", f.pid(), "--fd", f.fd())) }()
	}
	for _, done := range pokes {
		if res := <-done; res.code != 0 && !strings.Contains(res.stderr, "heard from the peer") {
			t.Error(res)
		}
	}
	if got := f.settings(t); got.Idle != 77*time.Second {
		t.Errorf("after several pokes at once: %v", got)
	}
	f.stillServes(t)
}
