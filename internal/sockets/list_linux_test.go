package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
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
