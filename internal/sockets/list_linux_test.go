package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kax/internal/need"
	"kax/internal/netns"
	"kax/tcpka"
)

var (
	odd   = tcpka.Settings{Enabled: true, Idle: 33 * time.Second, Interval: 7 * time.Second, Count: 4, UserTimeout: 1234 * time.Millisecond}
	other = tcpka.Settings{Enabled: true, Idle: 44 * time.Second, Interval: 8 * time.Second, Count: 5}
	off   = tcpka.Settings{}
)

// inNamespace runs f in a namespace, or skips the test where there is none to
// be had.
func inNamespace(t *testing.T, f func() error) {
	t.Helper()
	ran := false
	err := netns.Do(func() error { ran = true; return f() })
	if !ran {
		need.Permission(t, "make a network namespace", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A pair is a connection over loopback.
type pair struct{ client, server *net.TCPConn }

func connect(t *testing.T, network, listen, dial string, client, server tcpka.Settings) (*net.TCPListener, pair, error) {
	l, err := server.ListenConfig().Listen(context.Background(), network, listen)
	if err != nil {
		return nil, pair{}, err
	}
	t.Cleanup(func() { l.Close() })
	if dial == "" {
		dial = l.Addr().String()
	} else {
		dial = fmt.Sprintf("%s:%d", dial, l.Addr().(*net.TCPAddr).Port)
	}
	c, err := client.Dialer().Dial("tcp", dial)
	if err != nil {
		return nil, pair{}, err
	}
	t.Cleanup(func() { c.Close() })
	s, err := l.Accept()
	if err != nil {
		return nil, pair{}, err
	}
	t.Cleanup(func() { s.Close() })
	return l.(*net.TCPListener), pair{c.(*net.TCPConn), s.(*net.TCPConn)}, nil
}

// find returns the only socket of a connection's end.
func find(t *Table, c net.Conn) (*Socket, error) {
	var found []*Socket
	for _, s := range t.Sockets {
		if s.Local == addrOf(c.LocalAddr()) && s.Peer == addrOf(c.RemoteAddr()) {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%d sockets %v, %v", len(found), c.LocalAddr(), c.RemoteAddr())
	}
	return found[0], nil
}

func addrOf(a net.Addr) netip.AddrPort {
	ap := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

func fdOf(c syscall.Conn) int {
	rc, err := c.SyscallConn()
	if err != nil {
		return -1
	}
	number := -1
	_ = rc.Control(func(fd uintptr) { number = int(fd) })
	return number
}

// Every socket has the settings, the descriptor and the state that its program
// knows it to have.
func TestListOwnSockets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, network, listen, dial string }{
		{"ipv4", "tcp4", "127.0.0.1:0", ""},
		{"ipv6", "tcp6", "[::1]:0", ""},
		{"dual-stack", "tcp", "[::]:0", "127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inNamespace(t, func() error {
				l, p, err := connect(t, tt.network, tt.listen, tt.dial, other, odd)
				if err != nil {
					return err
				}
				table, err := List(Query{Settings: true})
				if err != nil {
					return err
				}
				if len(table.Sockets) != 3 || table.Changed {
					return fmt.Errorf("%d sockets, want 3; changed %v", len(table.Sockets), table.Changed)
				}
				for _, want := range []struct {
					name     string
					conn     syscall.Conn
					settings tcpka.Settings
					state    State
					timer    Timer
				}{
					{"client", p.client, other, Established, KeepaliveTimer},
					{"server", p.server, odd, Established, KeepaliveTimer},
					{"listener", l, odd, Listen, NoTimer},
				} {
					s, err := only(table, Listen)
					if c, ok := want.conn.(net.Conn); ok {
						s, err = find(table, c)
					} else if err == nil && (s.Local != addrOf(l.Addr()) || s.Peer.Port() != 0) {
						t.Errorf("listener: %v, peer %v, want %v", s.Local, s.Peer, l.Addr())
					}
					if err != nil {
						t.Error(want.name, err)
						continue
					}
					if !s.Read() || s.Settings != want.settings {
						t.Errorf("%s has %+v (%s), want %+v", want.name, s.Settings, s.Unread, want.settings)
					}
					if s.State != want.state || s.Timer != want.timer || s.UID != uint32(os.Getuid()) {
						t.Errorf("%s: %v, timer %v, user %d", want.name, s.State, s.Timer, s.UID)
					}
					if s.Owner.PID != os.Getpid() || s.Owner.FD != fdOf(want.conn) || s.Owner.Process == "" || len(settled(s.Also)) != 0 {
						t.Errorf("%s: owner %+v, also %v; its descriptor is %d", want.name, s.Owner, s.Also, fdOf(want.conn))
					}
					if want.timer == KeepaliveTimer && (s.Expires <= want.settings.Idle-10*time.Second || s.Expires > want.settings.Idle) {
						t.Errorf("%s: %v left of %v", want.name, s.Expires, want.settings.Idle)
					}
				}
				return nil
			})
		})
	}
}

func only(t *Table, state State) (*Socket, error) {
	var found *Socket
	for _, s := range t.Sockets {
		if s.State == state {
			if found != nil {
				return nil, fmt.Errorf("several sockets in %v", state)
			}
			found = s
		}
	}
	if found == nil {
		return nil, fmt.Errorf("no socket in %v", state)
	}
	return found, nil
}

// The times are the kernel's: of data when there has been some, and never of
// what has not been.
func TestListTimes(t *testing.T) {
	t.Parallel()
	inNamespace(t, func() error {
		_, p, err := connect(t, "tcp4", "127.0.0.1:0", "", off, off)
		if err != nil {
			return err
		}
		if _, err := p.client.Write([]byte("hello")); err != nil {
			return err
		}
		if _, err := p.server.Read(make([]byte, 5)); err != nil {
			return err
		}
		before, err := unix.GetsockoptTCPInfo(fdOf(p.client), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return err
		}
		table, err := List(Query{Settings: true})
		if err != nil {
			return err
		}
		after, err := unix.GetsockoptTCPInfo(fdOf(p.client), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return err
		}
		client, err := find(table, p.client)
		if err != nil {
			return err
		}
		between := func(what string, d time.Duration, from, to uint32) {
			if ms := uint32(d.Milliseconds()); d == Never || ms < from || ms > to {
				t.Errorf("%s %v ago, want %d to %d ms", what, d, from, to)
			}
		}
		between("sent", client.Sent, before.Last_data_sent, after.Last_data_sent)
		between("acknowledged", client.Ack, before.Last_ack_recv, after.Last_ack_recv)
		between("quiet", client.Quiet, min(before.Last_data_sent, before.Last_data_recv), min(after.Last_data_sent, after.Last_data_recv))
		server, err := find(table, p.server)
		if err != nil {
			return err
		}
		if client.Received != Never || server.Sent != Never || server.Received == Never {
			t.Errorf("client received %v ago, server sent %v ago and received %v ago", client.Received, server.Sent, server.Received)
		}
		if on, known := client.Keepalive(); on || !known || client.Timer == KeepaliveTimer {
			t.Errorf("keepalive %v, known %v, timer %v", on, known, client.Timer)
		}
		return nil
	})
}

// everyState opens sockets in many states.
func everyState(t *testing.T) error {
	if err := os.WriteFile("/proc/sys/net/ipv4/tcp_fin_timeout", []byte("90"), 0); err != nil {
		return err
	}
	// CLOSE-WAIT, and FIN-WAIT-2 of an owner.
	if _, p, err := connect(t, "tcp4", "127.0.0.1:0", "", other, odd); err != nil {
		return err
	} else if err := p.client.CloseWrite(); err != nil {
		return err
	} else if _, err := p.server.Read(make([]byte, 1)); err == nil {
		return errors.New("no end of file")
	}
	// FIN-WAIT-2 of nobody.
	_, p, err := connect(t, "tcp6", "[::1]:0", "", odd, other)
	if err != nil {
		return err
	}
	p.client.Close()
	if _, err := p.server.Read(make([]byte, 1)); err == nil {
		return errors.New("no end of file")
	}
	// TIME-WAIT.
	if _, p, err = connect(t, "tcp4", "127.0.0.1:0", "", odd, other); err != nil {
		return err
	}
	p.client.Close()
	if _, err := p.server.Read(make([]byte, 1)); err == nil {
		return errors.New("no end of file")
	}
	p.server.Close()
	// SYN-SENT, to a listener whose queue is full.
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	t.Cleanup(func() { unix.Close(l) })
	if err := errors.Join(unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(l, 0)); err != nil {
		return err
	}
	addr, err := unix.Getsockname(l)
	if err != nil {
		return err
	}
	for range 2 {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		t.Cleanup(func() { unix.Close(c) })
		if err := unix.Connect(c, addr); !errors.Is(err, unix.EINPROGRESS) {
			return err
		}
	}
	return nil
}

// What ss(8) shows of each socket is what is listed.
func TestListAgainstSS(t *testing.T) {
	t.Parallel()
	ss := need.Tool(t, "ss")
	inNamespace(t, func() error {
		if err := everyState(t); err != nil {
			return err
		}
		// Connections of loopback change state within the system call that makes
		// them; the last ACK of a handshake alone may be on its way.
		out, err := exec.Command(ss, "-Htanope").Output()
		if err != nil {
			return err
		}
		table, err := List(Query{Settings: true})
		if err != nil {
			return err
		}
		var got, want []string
		states := map[string]bool{}
		for _, s := range table.Sockets {
			states[s.State.String()], states[s.Timer.String()] = true, true
			peer := s.Peer.String()
			if s.State == Listen {
				peer = strings.TrimSuffix(peer, "0") + "*"
			}
			line := fmt.Sprintf("%v %v %v", s.State, s.Local, peer)
			for _, o := range settled(append([]Owner{s.Owner}, s.Also...)) {
				line += fmt.Sprintf(" pid=%d,fd=%d", o.PID, o.FD)
			}
			switch s.Timer {
			case NoTimer:
			case RetransmitTimer:
				line += " on"
			case KeepaliveTimer, OrphanTimer: // ss does not tell them apart
				line += " keepalive"
			case TimeWaitTimer:
				line += " timewait"
			default:
				line += " " + s.Timer.String()
			}
			if s.inode != 0 {
				line += fmt.Sprintf(" ino:%d", s.inode)
			}
			got = append(got, fmt.Sprintf("%s sk:%x", line, s.cookie))
		}
		mine := regexp.MustCompile(fmt.Sprintf(`pid=%d,fd=\d+`, os.Getpid()))
		for line := range strings.Lines(string(out)) {
			f := strings.Fields(line)
			text := fmt.Sprintf("%s %s %s", f[0], f[3], f[4])
			ino, sk := "", ""
			timer, owner := "", ""
			for _, word := range f[5:] {
				switch {
				case strings.HasPrefix(word, "users:"):
					for _, o := range mine.FindAllString(word, -1) {
						owner += " " + o
					}
				case strings.HasPrefix(word, "timer:("):
					name, _, _ := strings.Cut(strings.TrimPrefix(word, "timer:("), ",")
					timer = " " + name
				case strings.HasPrefix(word, "ino:") && word != "ino:0":
					ino = " " + word
				case strings.HasPrefix(word, "sk:"):
					sk = " " + word
				}
			}
			want = append(want, text+owner+timer+ino+sk)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("listed:\n%s\n\nss:\n%s", strings.Join(got, "\n"), out)
		}
		for _, state := range []string{"ESTAB", "LISTEN", "TIME-WAIT", "CLOSE-WAIT", "FIN-WAIT-2", "SYN-SENT", "orphan", "retransmit"} {
			if !states[state] {
				t.Errorf("no socket in %s", state)
			}
		}
		for _, s := range table.Sockets {
			owned := s.State != State(6) && s.Timer != OrphanTimer
			if s.inode != 0 && s.Owner.PID == 0 && s.State == Established {
				continue // waits to be accepted
			}
			if owned != s.Read() && s.inode != 0 || !owned && s.Unread != Ownerless {
				t.Errorf("%v %v %v: owner %v, unread %q", s.State, s.Local, s.Peer, s.Owner, s.Unread)
			}
		}
		return nil
	})
}

// holder starts a process that has l open too, until the test ends.
func holder(t *testing.T, l *net.TCPListener) (pid int, err error) {
	f, err := l.File()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	cmd := exec.Command("cat")
	cmd.ExtraFiles = []*os.File{f}
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	return cmd.Process.Pid, nil
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	inNamespace(t, func() error {
		l, p, err := connect(t, "tcp4", "127.0.0.1:0", "", odd, off)
		if err != nil {
			return err
		}
		if _, _, err := connect(t, "tcp6", "[::1]:0", "", odd, off); err != nil {
			return err
		}
		pid, err := holder(t, l)
		if err != nil {
			return err
		}
		port := func(a net.Addr) uint16 { return uint16(a.(*net.TCPAddr).Port) }
		for _, tt := range []struct {
			name string
			q    Query
			want int
		}{
			{"everything", Query{}, 6},
			{"the server's port", Query{Port: port(l.Addr())}, 3},
			{"the client's port", Query{Port: port(p.client.LocalAddr())}, 2},
			{"listeners", Query{States: 1 << Listen}, 2},
			{"established", Query{States: 1 << Established}, 4},
			{"established on a port", Query{States: 1 << Established, Port: port(l.Addr())}, 2},
			{"handshakes", Query{States: 1 << SynRecv}, 0},
			{"a process", Query{PID: pid}, 1},
			{"a process, elsewhere", Query{PID: pid, Port: port(p.client.LocalAddr())}, 0},
			{"idle for an hour", Query{IdleOver: time.Hour}, 0},
		} {
			table, err := List(tt.q)
			if err != nil {
				return fmt.Errorf("%s: %w", tt.name, err)
			}
			if len(table.Sockets) != tt.want {
				t.Errorf("%s: %d sockets, want %d", tt.name, len(table.Sockets), tt.want)
			}
			for _, s := range table.Sockets {
				if tt.q.PID != 0 && (s.Owner.PID != pid || len(settled(s.Also)) != 1 || table.Descriptors < 4) {
					t.Errorf("%s: owner %v, also %v, %d descriptors", tt.name, s.Owner, s.Also, table.Descriptors)
				}
				if s.Unread != NotAsked {
					t.Errorf("%s: settings %v, unread %q", tt.name, s.Settings, s.Unread)
				}
			}
		}
		return nil
	})
}

func TestListNoProcess(t *testing.T) {
	t.Parallel()
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := List(Query{PID: gone.Process.Pid}); !errors.Is(err, ErrNoProcess) {
		t.Errorf("a process that has ended: %v", err)
	}
	h := holdings{pid: gone.Process.Pid}
	if h.look(nil); len(h.hits) != 0 || errors.Is(h.err, os.ErrPermission) {
		t.Errorf("the descriptors of a process that has ended: %+v", h)
	}
}

// A descriptor may be closed, or be another socket's, by the time it is
// borrowed.
func TestReadChangedDescriptor(t *testing.T) {
	t.Parallel()
	inNamespace(t, func() error {
		_, p, err := connect(t, "tcp4", "127.0.0.1:0", "", odd, other)
		if err != nil {
			return err
		}
		fd, err := unix.Dup(fdOf(p.client))
		if err != nil {
			return err
		}
		fresh := func() (*Socket, error) {
			table, err := List(Query{})
			if err != nil {
				return nil, err
			}
			return find(table, p.client)
		}
		read := func(what string, s *Socket, from Owner, want Reason) {
			var l lender
			defer l.close()
			if l.read(s, from); s.Unread != want || s.Read() != (s.Settings != tcpka.Settings{}) {
				t.Errorf("%s: %+v, %q, want %q", what, s.Settings, s.Unread, want)
			}
		}
		me := Owner{PID: os.Getpid(), FD: fd}
		s, err := fresh()
		if err != nil {
			return err
		}
		if len(settled(s.Also)) != 1 {
			t.Errorf("a socket with two descriptors: %v, also %v", s.Owner, s.Also)
		}
		read("as it is", s, me, "")
		if s, err = fresh(); err != nil {
			return err
		}
		if err := unix.Dup3(fdOf(p.server), fd, unix.O_CLOEXEC); err != nil {
			return err
		}
		read("another socket", s, me, Changed)
		pipe, err := os.Open(os.DevNull)
		if err != nil {
			return err
		}
		defer pipe.Close()
		read("a file", s, Owner{PID: os.Getpid(), FD: int(pipe.Fd())}, Changed)
		unix.Close(fd)
		read("a closed descriptor", s, Owner{PID: os.Getpid(), FD: 1 << 20}, Changed)
		gone := exec.Command("true")
		if err := gone.Run(); err != nil {
			return err
		}
		read("a process that has ended", s, Owner{PID: gone.Process.Pid, FD: fd}, Changed)
		return nil
	})
}

// Go listens with MPTCP unless told otherwise: the kernel's table has its path,
// and the process another socket.
func TestListMultipath(t *testing.T) {
	t.Parallel()
	inNamespace(t, func() error {
		var lc net.ListenConfig
		lc.SetMultipathTCP(true)
		l, err := lc.Listen(context.Background(), "tcp4", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close()
		proto, err := unix.GetsockoptInt(fdOf(l.(*net.TCPListener)), unix.SOL_SOCKET, unix.SO_PROTOCOL)
		if err != nil || proto != unix.IPPROTO_MPTCP {
			t.Skipf("this kernel has no MPTCP: protocol %d, %v", proto, err)
		}
		table, err := List(Query{Settings: true})
		if err != nil {
			return err
		}
		s, err := only(table, Listen)
		if err != nil {
			return err
		}
		if s.Unread != Multipath || s.Owner.PID != os.Getpid() {
			t.Errorf("owner %+v, settings %+v, unread %q", s.Owner, s.Settings, s.Unread)
		}
		return nil
	})
}

// The sockets of a process are in its own network.
func TestListOtherNetwork(t *testing.T) {
	t.Parallel()
	inNamespace(t, func() error {
		l, err := off.ListenConfig().Listen(context.Background(), "tcp4", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close()
		pid, err := holder(t, l.(*net.TCPListener))
		if err != nil {
			return err
		}
		// Another namespace looks into that of the process.
		return netns.Do(func() error {
			table, err := List(Query{PID: pid, Settings: true})
			if err != nil {
				return err
			}
			if len(table.Sockets) != 1 || table.Sockets[0].Local != l.Addr().(*net.TCPAddr).AddrPort() || table.Sockets[0].Owner.PID != pid || !table.Sockets[0].Read() {
				t.Errorf("%+v", table.Sockets)
			}
			return nil
		})
	})
}

func TestSort(t *testing.T) {
	at := netip.MustParseAddrPort
	a := &Socket{Local: at("10.0.0.1:1"), Peer: at("10.9.9.9:2"), State: Listen, Owner: Owner{PID: 30, Process: "a"}, Quiet: Never}
	b := &Socket{Local: at("10.0.0.2:1"), Peer: at("10.0.0.9:2"), State: Established, Timer: KeepaliveTimer, Expires: time.Minute, Probes: 1, Quiet: time.Hour, Owner: Owner{PID: 4, Process: "c"}}
	c := &Socket{Local: at("10.0.0.3:1"), Peer: at("10.1.0.9:2"), State: CloseWait, Timer: TimeWaitTimer, Expires: time.Second, Quiet: time.Second}
	for key, want := range map[string][]*Socket{
		"local": {a, b, c}, "peer": {b, c, a}, "state": {b, c, a}, "pid": {b, a, c}, "process": {a, b, c},
		"timer": {c, b, a}, "probes": {b, a, c}, "idle": {b, c, a},
	} {
		list := []*Socket{c, a, b}
		if Sort(list, key); !slices.Equal(list, want) {
			t.Errorf("by %s: %v, %v, %v", key, list[0].Local, list[1].Local, list[2].Local)
		}
		if !slices.Contains(SortKeys(), key) {
			t.Errorf("%s is no key", key)
		}
	}
	if n := len(SortKeys()); n != 8 {
		t.Errorf("%d keys, 8 tested", n)
	}
}

func TestParseStates(t *testing.T) {
	for text, want := range map[string]States{
		"established": 1 << Established, "ESTAB,listen": 1<<Established | 1<<Listen, "close-wait": 1 << CloseWait,
		"Listening, syn-recv": 1<<Listen | 1<<SynRecv, "closed": 1 << Closed, "time-wait": 1 << 6, "fin-wait-2": 1 << FinWait2,
	} {
		if got, err := ParseStates(text); got != want || err != nil {
			t.Errorf("%q: %b, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "open", "estab,,listen"} {
		if got, err := ParseStates(text); err == nil {
			t.Errorf("%q: %b", text, got)
		}
	}
	if States(1<<SynRecv).mask()&(1<<newSynRecv) == 0 || States(0).mask() != uint32(allStates) {
		t.Error("the mask lacks states")
	}
}

// settled leaves out the children of this process: one that another test is
// starting has every descriptor until it becomes its program.
func settled(owners []Owner) (own []Owner) {
	for _, o := range owners {
		if o.PID == os.Getpid() {
			own = append(own, o)
		}
	}
	return own
}
