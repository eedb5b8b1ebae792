package cli

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kax/httpka"
	"kax/internal/nat"
	"kax/internal/need"
	"kax/internal/timeline"
)

// within holds what idle promises of a server that closes, against the server's
// own setting; a busy machine may add to it.
func within(t *testing.T, got timeline.Seconds, want, slack time.Duration) {
	t.Helper()
	d, allowed := time.Duration(got), max(300*time.Millisecond, want*3/100)
	if d < want-allowed || d > want+slack+allowed {
		t.Errorf("found %v, want %v to within %v", d, want+slack, allowed)
	}
}

func idle(t *testing.T, code int, args ...string) (*timeline.Idle, result) {
	t.Helper()
	res := run(t, kax(asIs, append([]string{"http", "idle", "--json"}, args...)...))
	if res.code != code {
		t.Fatalf("want exit code %d: %s", code, res)
	}
	return parseOpen(t, res).idle, res
}

// freePort is one that a server of another's can be told to take.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// startForeign starts a server of another's, which runs in the foreground, and waits
// until it listens.
func startForeign(t *testing.T, port int, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-done
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-done:
			t.Fatalf("%s ended: %s", program, out.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %s", program, out.String())
		}
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func startNginx(t *testing.T, timeout time.Duration, certificate string) int {
	t.Helper()
	nginx := need.Tool(t, "nginx")
	dir, port, tls := sharedDir(t), freePort(t), ""
	if certificate != "" {
		tls = "ssl_certificate " + certificate + "; ssl_certificate_key " + certificate + ";"
		certificate = " ssl"
	}
	conf := write(t, dir+"/nginx.conf", fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events { worker_connections 512; }
http {
  access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b;
  fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  keepalive_timeout %[3]ds %[3]ds;
  server { listen 127.0.0.1:%[2]d%[4]s; %[5]s location / { return 200 "here"; } }
}`, dir, port, int(timeout/time.Second), certificate, tls))
	startForeign(t, port, nginx, "-p", dir, "-c", conf, "-e", "stderr")
	return port
}

func startApache(t *testing.T, timeout time.Duration) int {
	t.Helper()
	apache := need.Tool(t, "apache2")
	modules := "/usr/lib/apache2/modules"
	dir, port := sharedDir(t), freePort(t)
	write(t, dir+"/index.html", "here")
	conf := write(t, dir+"/apache.conf", fmt.Sprintf(`
ServerRoot %[1]s
ServerName localhost
Listen 127.0.0.1:%[2]d
PidFile %[1]s/pid
Mutex file:%[1]s
DefaultRuntimeDir %[1]s
ErrorLog /dev/stderr
DocumentRoot %[1]s
LoadModule mpm_event_module %[4]s/mod_mpm_event.so
LoadModule authz_core_module %[4]s/mod_authz_core.so
LoadModule dir_module %[4]s/mod_dir.so
<IfModule unixd_module>
User #65534
Group #65534
</IfModule>
KeepAlive On
KeepAliveTimeout %[3]d
`, dir, port, int(timeout/time.Second), modules))
	if _, err := os.Stat(modules + "/mod_unixd.so"); err == nil && os.Geteuid() == 0 {
		text, _ := os.ReadFile(conf)
		write(t, conf, strings.Replace(string(text), "LoadModule dir_module", "LoadModule unixd_module "+modules+"/mod_unixd.so\nLoadModule dir_module", 1))
	}
	startForeign(t, port, apache, "-f", conf, "-DFOREGROUND")
	return port
}

func startNode(t *testing.T, timeout time.Duration) int {
	t.Helper()
	port := freePort(t)
	startForeign(t, port, need.Tool(t, "node"), "-e", fmt.Sprintf(
		`require('http').createServer({keepAliveTimeout: %d}, (q, r) => r.end('here')).listen(%d, '127.0.0.1')`, timeout.Milliseconds(), port))
	return port
}

// nodeBuffer is what newer Nodes wait beyond the keepAliveTimeout that they
// announce (server.keepAliveTimeoutBuffer): a second.
func nodeBuffer(t *testing.T) time.Duration {
	t.Helper()
	out, err := exec.Command(need.Tool(t, "node"), "-p", `require('http').createServer().keepAliveTimeoutBuffer ?? 0`).Output()
	if err != nil {
		t.Fatal(err)
	}
	ms, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(ms) * time.Millisecond
}

// The idle timeouts of other people's servers are found.
func TestIdleServers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		start     func(t *testing.T) (scheme string, port int)
		timeout   time.Duration
		slack     func(*testing.T) time.Duration // that the server adds by itself
		announced string
	}{
		{"nginx", func(t *testing.T) (string, int) { return "http", startNginx(t, 2*time.Second, "") },
			2 * time.Second, nil, "timeout=2"},
		{"nginx behind TLS", func(t *testing.T) (string, int) {
			return "https", startNginx(t, 3*time.Second, certificateFile(t))
		}, 3 * time.Second, nil, "timeout=3"},
		{"Apache", func(t *testing.T) (string, int) { return "http", startApache(t, 2*time.Second) },
			2 * time.Second, nil, "timeout=2, max=100"},
		{"Node", func(t *testing.T) (string, int) { return "http", startNode(t, 2*time.Second) },
			2 * time.Second, nodeBuffer, "timeout=2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			scheme, port := tc.start(t)
			begun := time.Now()
			r, res := idle(t, 0, "-k", fmt.Sprintf("%s://127.0.0.1:%d/", scheme, port))
			var slack time.Duration
			if tc.slack != nil {
				slack = tc.slack(t)
			}
			within(t, r.Timeout, tc.timeout, slack)
			t.Logf("%v, spread %v, in %v", time.Duration(r.Timeout), time.Duration(r.Spread), time.Since(begun))
			if r.How != timeline.IdleFIN || r.Samples != 5 || r.Announced != tc.announced || r.Status != 200 {
				t.Errorf("%s", res)
			}
			if most := r.Timeout * 12 / 10; r.Waited > most+timeline.Seconds(100*time.Millisecond) {
				t.Errorf("it took %v, more than 1.2 timeouts", time.Duration(r.Waited))
			}
		})
	}
}

// certificateFile holds a certificate and its key.
func certificateFile(t *testing.T) string {
	t.Helper()
	openssl := need.Tool(t, "openssl")
	dir := sharedDir(t)
	out, err := exec.Command(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
		"-subj", "/CN=localhost", "-keyout", dir+"/key", "-out", dir+"/crt").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var both []byte
	for _, name := range []string{"key", "crt"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, text...)
	}
	return write(t, dir+"/both", string(both))
}

// Python's http.server speaks HTTP/1.0 and closes after each response: there is
// no timeout, and that is said.
func TestIdlePython(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	startForeign(t, port, need.Tool(t, "python3"), "-m", "http.server", "--bind", "127.0.0.1", "--directory", t.TempDir(), fmt.Sprint(port))
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	for code, args := range map[int][]string{exitFailed: nil, exitProblem: {"--longer-than", "1"}} {
		res := run(t, kax(asIs, append([]string{"http", "idle", url}, args...)...))
		if res.code != code || !strings.Contains(res.stderr, "HTTP/1.0 without keep-alive") || !strings.Contains(res.stderr, "no idle timeout") {
			t.Errorf("%s", res)
		}
	}
}

// A router that has forgotten a connection loses what comes on it, and only then
// shows that it has. Probes keep it from forgetting.
func TestIdleNAT(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		o      nat.Options
		flags  []string
		answer string
	}{
		{"dropped", nat.Options{Forget: 5 * time.Second}, []string{"--compare-keepalive"}, "nothing"},
		{"leaky", nat.Options{Forget: 3 * time.Second, Leaky: true}, nil, "reset"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if !inside(t) {
				return
			}
			n, err := nat.New(tc.o)
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			serveIn(t, n)
			cmd := kax(asIs, append([]string{"http", "idle", "--json", "http://" + n.ServerAddr.String() + ":80/keep"}, tc.flags...)...)
			var res result
			if err := n.Client.Do(func() error { res = run(t, cmd); return nil }); err != nil {
				t.Fatal(err)
			}
			t.Log(res)
			r := parseOpen(t, res).idle
			within(t, r.Timeout, tc.o.Forget, 0)
			if res.code != 0 || r.How != timeline.IdleSilent || r.Answer != tc.answer {
				t.Errorf("%s", res)
			}
			if most := tc.o.Forget * 5 / 2; time.Duration(r.Waited) > most+200*time.Millisecond {
				t.Errorf("it took %v, more than 2.5 timeouts", time.Duration(r.Waited))
			}
			if len(tc.flags) > 0 && (r.Probed == nil || r.Probed.How != timeline.IdleNone ||
				time.Duration(r.Probed.AtLeast) < 2*tc.o.Forget || !strings.Contains(r.Probed.Effect, "keep")) {
				t.Errorf("probes: %s", res)
			}
		})
	}
}

// serveIn runs a server that keeps its connections, behind the router.
func serveIn(t *testing.T, n *nat.Net) {
	t.Helper()
	var l net.Listener
	err := n.Server.Do(func() (err error) {
		l, err = (&net.ListenConfig{KeepAlive: -1}).Listen(context.Background(), "tcp4", n.ServerAddr.String()+":80")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httpka.NewServer(httpka.ServerConfig{})
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
}
