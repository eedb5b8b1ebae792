package sockets

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kax/internal/need"
)

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

// awaitStates waits until there are sockets in all states, or with all timers, and
// none on the way to them.
func awaitStates(wanted ...string) error {
	for guard := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		table, err := List(Query{})
		if err != nil {
			return err
		}
		there := map[string]bool{}
		for _, s := range table.Sockets {
			there[s.State.String()], there[s.Timer.String()] = true, true
		}
		missing := slices.DeleteFunc(slices.Clone(wanted), func(state string) bool { return there[state] })
		if len(missing) == 0 && !there["FIN-WAIT-1"] {
			return nil
		}
		if time.Now().After(guard) {
			return fmt.Errorf("no socket in %v", missing)
		}
	}
}

// What ss(8) shows of each socket is what is listed.
func TestListAgainstSS(t *testing.T) {
	t.Parallel()
	ss := need.Tool(t, "ss")
	inNamespace(t, func() error {
		if err := everyState(t); err != nil {
			return err
		}
		// The answer to a FIN may be delayed by 40 ms (tcp_fin).
		err := awaitStates("ESTAB", "LISTEN", "TIME-WAIT", "CLOSE-WAIT", "FIN-WAIT-2", "SYN-SENT", "orphan", "retransmit")
		if err != nil {
			return err
		}
		out, err := exec.Command(ss, "-Htanope").Output()
		if err != nil {
			return err
		}
		table, err := List(Query{Settings: true})
		if err != nil {
			return err
		}
		var got, want []string
		for _, s := range table.Sockets {
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
