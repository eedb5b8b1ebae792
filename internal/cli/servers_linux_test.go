package cli

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kax/httpka"
	"kax/internal/need"
)

// background runs a server that is not kax until the test ends.
func background(t *testing.T, cmd *exec.Cmd) *bytes.Buffer {
	t.Helper()
	var said bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &said
	}
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // and its workers
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", cmd.Path, said.String())
		}
	})
	return &said
}

// freePort is one that nobody listens on, for a server that takes no 0.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// listens waits until somebody listens on a port.
func listens(t *testing.T, port string) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var c net.Conn
		if c, err = net.Dial("tcp4", "127.0.0.1:"+port); err == nil {
			c.Close()
			return
		}
	}
	t.Fatal(err)
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// nginx serves with settings of the server block, on a port after listen's words.
func nginx(t *testing.T, listen, settings string) (port string) {
	t.Helper()
	program := need.Tool(t, "nginx")
	dir := sharedDir(t)
	port = freePort(t)
	conf := write(t, dir, "nginx.conf", fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server {
    listen 127.0.0.1:%[2]s %[3]s;
    %[4]s
    location / { return 200 "hello\n"; }
    location /moved { return 301 /there; }
  }
}`, dir, port, listen, strings.ReplaceAll(settings, "DIR", dir)))
	if strings.Contains(settings, "DIR/") {
		certify(t, dir)
	}
	background(t, exec.Command(program, "-c", conf, "-e", "stderr", "-p", dir))
	listens(t, port)
	return port
}

// certify makes cert.pem and key.pem.
func certify(t *testing.T, dir string) {
	t.Helper()
	cert, err := httpka.SelfSigned("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})))
	write(t, dir, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
}

func apache(t *testing.T, settings string) (port string) {
	t.Helper()
	program := need.Tool(t, "apache2")
	dir := sharedDir(t)
	port = freePort(t)
	user := ""
	if os.Geteuid() == 0 {
		user = "User #65534\nGroup #65534" // it refuses to serve as root
	}
	conf := write(t, dir, "apache.conf", fmt.Sprintf(`
ServerRoot %[1]s
ServerName localhost
Listen 127.0.0.1:%[2]s
PidFile %[1]s/pid
DefaultRuntimeDir %[1]s
ErrorLog /dev/stderr
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
DocumentRoot %[1]s
%[3]s
%[4]s`, dir, port, user, settings))
	write(t, dir, "keep", "hello\n")
	background(t, exec.Command(program, "-f", conf, "-DFOREGROUND"))
	listens(t, port)
	return port
}

// node and oldServer, Python's, print their port, and serve.
func node(t *testing.T, settings string) (port string) {
	t.Helper()
	return prints(t, exec.Command(need.Tool(t, "node"), "-e", `
const s = require('http').createServer((req, res) => res.end('hello\n'))
Object.assign(s, `+settings+`)
// A setting that Node lacks: what resets connections a time after their first byte.
s.on('connection', c => c.once('data', () => s.resetAfter && setTimeout(() => c.resetAndDestroy(), s.resetAfter)))
s.listen(0, '127.0.0.1', () => console.log(s.address().port))`))
}

func oldServer(t *testing.T) (port string) {
	t.Helper()
	cmd := exec.Command(need.Tool(t, "python3"), "-c", `
import http.server
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print(s.server_port, flush=True)
s.serve_forever()`)
	cmd.Dir = sharedDir(t)
	write(t, cmd.Dir, "keep", "hello\n")
	return prints(t, cmd)
}

func prints(t *testing.T, cmd *exec.Cmd) (port string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Stdout = w
	background(t, cmd)
	w.Close()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}
