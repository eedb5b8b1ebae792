package cli

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kax/internal/web"
)

// Whoever ends kax ui ends what it runs: by ^C, which leaves nothing, and by force.
func TestUIEnds(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	for _, how := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(how.String(), func(t *testing.T) {
			t.Parallel()
			u := startUI(t, asIs)
			c := u.client(t)
			u.act(t, c, "runs", `{"experiment":"demo","settings":{"pause":"1m","idle-timeout":"2m"}}`)
			u.events(t, c)(`"kind":"probe"`)
			pid := child(t, u.cmd.Process.Pid)
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if err := u.cmd.Process.Signal(how); err != nil {
				t.Fatal(err)
			}
			if res := u.end(t); how != syscall.SIGKILL && (res.code != exitOK || res.stderr != "") {
				t.Error(res)
			}
			// pidfd_open(2): it can be read when the process has ended.
			n, err := 0, error(unix.EINTR)
			for errors.Is(err, unix.EINTR) { // by the runtime's own signals
				n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20_000)
			}
			if n != 1 {
				t.Errorf("the run goes on: %v", err)
			}
		})
	}
}

// The page is for this machine only.
func TestUIRefuses(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:0", "0:0"} {
		res := run(t, kax(asIs, "ui", "--listen", listen))
		if res.code != exitUsage || !strings.Contains(res.stderr, "on loopback only") || res.stdout != "" {
			t.Errorf("--listen %s: %s", listen, res)
		}
	}
	if res := run(t, kax(asIs, "ui", "/no/such/file")); res.code != exitFailed || !strings.Contains(res.stderr, "/no/such/file") {
		t.Error(res)
	}
}

// What a page sends becomes values of known flags, and nothing else.
func TestUIArguments(t *testing.T) {
	t.Parallel()
	m := &menu{hz: 250, interfaces: []string{everywhere, "lo"}}
	for _, tc := range []struct {
		experiment string
		settings   map[string]string
		want       string // the command line, or why there is none
	}{
		{"demo", nil, "demo --listen=127.0.0.1:0 --json --frames"},
		{"demo", map[string]string{"keepidle": "120", "pause": "1,2.5s", "reuse": "false"}, "demo --listen=127.0.0.1:0 --json --frames --keepidle=2m --pause=1s,2.5s --no-reuse"},
		{"demo", map[string]string{"keepalive": "false", "keepidle": "2s"}, "demo --listen=127.0.0.1:0 --json --frames --no-keepalive"},
		{"lab nat", map[string]string{"keepidle": ""}, "lab run nat --json --frames"},
		{"watch", map[string]string{"interface": "lo", "port": "80"}, "watch --json --frames --interface=lo --port=80"},
		{"watch", map[string]string{"interface": "all"}, "watch --json --frames"},
		{"watch", map[string]string{"interface": "lo --write=/etc/passwd"}, "must be one of"},
		{"watch", map[string]string{"port": "80 -w x"}, "must be a port"},
		{"demo", map[string]string{"write": "/etc/passwd"}, "no such setting"},
		{"demo", map[string]string{"keepidle": "1s --write=/etc/passwd"}, "whole number of seconds"},
		{"demo", map[string]string{"pause": "1s,--write=x"}, "must be a duration"},
		{"demo", map[string]string{"idle-timeout": "-1s"}, "above 0"},
		{"lab --write=x", nil, "no such experiment"},
		{"http serve", nil, "no such experiment"},
		{"lab demo", map[string]string{"keepidle": "1h"}, "the first probe must come before"},
	} {
		args, err := m.args(web.Ask{Experiment: tc.experiment, Settings: tc.settings}, "")
		if got := strings.Join(args, " "); err == nil && got != tc.want || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %v: %q, %v; want %q", tc.experiment, tc.settings, got, err, tc.want)
		}
	}
	// What the settings are by default is what the commands take.
	for _, e := range m.experiments() {
		all := map[string]string{}
		for _, s := range e.Settings {
			all[s.Name] = s.Value
		}
		if _, err := m.predict(web.Ask{Experiment: e.Name, Settings: all}); err != nil {
			t.Errorf("%s: %v", e.Name, err)
		}
	}
}

// --open hands the address to the desktop's opener (xdg-open). Where that is not
// there, or fails, that is said, and the page served all the same.
func TestUIOpen(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ opener, says string }{
		"opens": {`echo "opened $1" >/proc/$PPID/fd/1`, "opened http://"},
		"fails": {"exit 3", "xdg-open: exit status 3; open the address yourself"},
		"none":  {"", `"xdg-open": executable file not found in $PATH; open the address yourself`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if tc.opener != "" {
				// A child of another test must not inherit it while it is open to be
				// written: it could not be run then (ETXTBSY, execve(2)).
				syscall.ForkLock.RLock()
				err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte("#!/bin/sh\n"+tc.opener+"\n"), 0o755)
				syscall.ForkLock.RUnlock()
				if err != nil {
					t.Fatal(err)
				}
			}
			out, in, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			cmd := kax(asIs, "ui", "--open")
			cmd.Env = append(cmd.Env, "PATH="+dir)
			cmd.Stdout, cmd.Stderr = in, in
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			in.Close()
			lines := bufio.NewScanner(out)
			next := func() string {
				if !lines.Scan() {
					t.Fatal("kax ui ended: ", lines.Err())
				}
				return lines.Text()
			}
			u := uiPage{url: next()}
			if said := next(); !strings.Contains(said, tc.says) || name == "opens" && said != "opened "+u.url {
				t.Errorf("said %q, want %q", said, tc.says)
			}
			u.client(t) // is served
			if err := errors.Join(cmd.Process.Signal(syscall.SIGINT), cmd.Wait()); err != nil {
				t.Error(err)
			}
		})
	}
}
