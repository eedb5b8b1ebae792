package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kax/internal/need"
	"kax/internal/sockets"
)

// A foreign is a program that is not kax, with a connection to this test.
type foreign struct {
	*sockets.Borrowed          // its end of the connection, for the test to look at
	conn              net.Conn // this end
	exchange          func() error
}

func (f *foreign) pid() string { return fmt.Sprint(f.PID) }
func (f *foreign) fd() string  { return fmt.Sprint(f.Number) }
func (f *foreign) port() string {
	_, port, _ := net.SplitHostPort(f.conn.LocalAddr().String())
	return port
}

// meet finds the program's end of a connection.
func meet(t *testing.T, pid int, conn net.Conn) *foreign {
	t.Helper()
	p, err := sockets.OpenProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	here := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	var found *sockets.Borrowed
	eventually(t, "has the connection", func() bool {
		all, _, _, err := p.Sockets(func(*sockets.Borrowed) bool { return true })
		need.Permission(t, "borrow another program's sockets", err)
		for _, b := range all {
			if peer, err := b.Peer(); err == nil && peer == netip.AddrPortFrom(here.Addr().Unmap(), here.Port()) {
				found = b
				continue
			}
			b.Close()
		}
		return found != nil
	})
	t.Cleanup(func() { found.Close() })
	return &foreign{Borrowed: found, conn: conn}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for guard := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(guard) {
			t.Fatalf("after a minute it is not so: %s", what)
		}
	}
}

// quiet waits until the program's end has not heard the peer for so long.
func (f *foreign) quiet(t *testing.T, d time.Duration) {
	t.Helper()
	eventually(t, "quiet", func() bool {
		st, err := f.Status()
		if err != nil {
			t.Fatal(err)
		}
		return st.Quiet() >= d
	})
}

// says writes a request, unless empty, and demands a part of the answer.
func says(conn net.Conn, request, want string) error {
	if _, err := conn.Write([]byte(request)); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	var got bytes.Buffer
	for b := make([]byte, 4096); !strings.Contains(got.String(), want); {
		n, err := conn.Read(b)
		got.Write(b[:n])
		if err != nil {
			return fmt.Errorf("the answer to %q is %q, want %q: %w", request, got.String(), want, err)
		}
	}
	return nil
}

// started starts a program and ends it with the test.
func started(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	var stderr bytes.Buffer
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true // sshd's children are to end too
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", cmd.Path, stderr.String())
		}
	})
	return cmd
}

// echo is a server that knows nothing of keepalive.
const echo = `
import socket, sys, threading
def serve(s):
    while b := s.recv(100):
        s.sendall(b)
l = socket.create_server((sys.argv[1], 0), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
p, _ = socket.socketpair()
print(l.getsockname()[1], l.fileno(), u.fileno(), p.fileno(), flush=True)
while True:
    s, _ = l.accept()
    threading.Thread(target=serve, args=(s,)).start()
`

// python starts the echo server.
func python(t *testing.T, host string) (server *exec.Cmd, addr string, listener, udp, unixSocket string) {
	t.Helper()
	server = exec.Command(need.Tool(t, "python3"), "-c", echo, host)
	server.SysProcAttr = &syscall.SysProcAttr{}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	started(t, server)
	line, err := bufio.NewReader(out).ReadString('\n')
	words := strings.Fields(line)
	if err != nil || len(words) != 4 {
		t.Fatalf("the python server says %q: %v", line, err)
	}
	return server, net.JoinHostPort(host, words[0]), words[1], words[2], words[3]
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{KeepAlive: -1}).Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// pythonServer is a python server with a connection.
func pythonServer(t *testing.T, host string) *foreign {
	t.Helper()
	server, addr, _, _, _ := python(t, host)
	conn := dial(t, addr)
	f := meet(t, server.Process.Pid, conn)
	f.exchange = func() error { return says(conn, "and so on", "and so on") }
	return f
}

// nginxServer is an nginx with a connection that has carried a request.
func nginxServer(t *testing.T) *foreign {
	t.Helper()
	dir := t.TempDir()
	socket, err := net.Listen("tcp4", "127.0.0.1:0") // a free port
	if err != nil {
		t.Fatal(err)
	}
	addr := socket.Addr().String()
	socket.Close()
	conf := fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
  access_log off; keepalive_timeout 10m;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c;
  uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server { listen %[2]s; location / { return 200 "nginx is well"; } }
}`, dir, addr)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	server := started(t, exec.Command(need.Tool(t, "nginx"), "-p", dir, "-e", "stderr", "-c", file))
	eventually(t, "nginx listens", func() bool {
		conn, err := net.Dial("tcp4", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	conn := dial(t, addr)
	exchange := func() error { return says(conn, "GET / HTTP/1.1\r\nHost: here\r\n\r\n", "nginx is well") }
	if err := exchange(); err != nil {
		t.Fatal(err)
	}
	f := meet(t, server.Process.Pid, conn)
	eventually(t, "nginx has set TCP_NODELAY, as it does once a response is out", func() bool {
		on, err := unix.GetsockoptInt(int(f.FD()), unix.IPPROTO_TCP, unix.TCP_NODELAY)
		return err != nil || on != 0
	})
	f.exchange = exchange
	return f
}

// sshdServer is an sshd on a connection that waits for the client's version.
func sshdServer(t *testing.T) *foreign {
	t.Helper()
	dir := t.TempDir()
	key, conf := filepath.Join(dir, "key"), filepath.Join(dir, "conf")
	if out, err := exec.Command(need.Tool(t, "ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	if err := os.WriteFile(conf, []byte("HostKey "+key+"\nPidFile none\nTCPKeepAlive no\nLoginGraceTime 600\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Not with package net's own keepalive on what is accepted.
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn := dial(t, l.Addr().String())
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	file, err := accepted.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where it locks itself in
			t.Fatal(err)
		}
	}
	server := exec.Command(need.Tool(t, "sshd"), "-i", "-e", "-f", conf)
	server.Stdin, server.Stdout = file, file
	started(t, server)
	if err := says(conn, "", "SSH-2.0-"); err != nil {
		t.Fatal(err)
	}
	f := meet(t, server.Process.Pid, conn)
	f.exchange = func() error { return says(conn, "SSH-2.0-kax\r\n", "curve25519") } // of its key exchange
	return f
}

// options reads every socket option that can be read twice with the same
// answer.
func (f *foreign) options(t *testing.T) map[[2]int]string {
	t.Helper()
	stable := map[[2]int]string{}
	first := f.readOptions()
	for key, value := range f.readOptions() {
		if first[key] == value {
			stable[key] = value
		}
	}
	if len(stable) < 40 {
		t.Fatalf("only %d options", len(stable))
	}
	return stable
}

func (f *foreign) readOptions() map[[2]int]string {
	found := map[[2]int]string{}
	for _, level := range []int{unix.SOL_SOCKET, unix.IPPROTO_TCP, unix.IPPROTO_IP, unix.IPPROTO_IPV6} {
		for option := range 256 {
			switch [2]int{level, option} {
			case [2]int{unix.SOL_SOCKET, unix.SO_ERROR}, [2]int{unix.IPPROTO_TCP, unix.TCP_SAVED_SYN}, [2]int{unix.IPPROTO_TCP, unix.TCP_ZEROCOPY_RECEIVE}:
				continue // to read them takes something away
			case [2]int{unix.IPPROTO_TCP, unix.TCP_INFO}, [2]int{unix.IPPROTO_TCP, unix.TCP_CC_INFO}, [2]int{unix.IPPROTO_TCP, unix.TCP_TIMESTAMP},
				[2]int{unix.SOL_SOCKET, unix.SO_INCOMING_CPU}, [2]int{unix.SOL_SOCKET, unix.SO_MEMINFO}, [2]int{unix.SOL_SOCKET, unix.SO_INCOMING_NAPI_ID}:
				continue // no options, but what happens
			}
			value := make([]byte, 256)
			n := uint32(len(value))
			_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, f.FD(), uintptr(level), uintptr(option),
				uintptr(unsafe.Pointer(&value[0])), uintptr(unsafe.Pointer(&n)), 0)
			if errno == 0 {
				found[[2]int{level, option}] = fmt.Sprintf("%x", value[:n])
			}
		}
	}
	return found
}

// unchanged demands that two readings differ in the options named only, and do
// in these.
func unchanged(t *testing.T, before, after map[[2]int]string, but ...[2]int) {
	t.Helper()
	want := map[[2]int]bool{}
	for _, key := range but {
		want[key] = true
	}
	for key := range before {
		value, ok := after[key]
		if !ok {
			continue // it does not read the same twice any more
		}
		if changed := value != before[key]; changed != want[key] {
			t.Errorf("level %d, option %d: was %s, is %s", key[0], key[1], before[key], value)
		}
	}
}

var (
	soKeepalive    = [2]int{unix.SOL_SOCKET, unix.SO_KEEPALIVE}
	tcpKeepidle    = [2]int{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}
	tcpKeepintvl   = [2]int{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL}
	tcpKeepcnt     = [2]int{unix.IPPROTO_TCP, unix.TCP_KEEPCNT}
	tcpUserTimeout = [2]int{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT}
)
