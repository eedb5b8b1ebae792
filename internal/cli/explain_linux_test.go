package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kax/docs/reference"
	"kax/internal/need"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	list := run(t, kax(asIs, "explain"))
	for _, topic := range reference.Topics() {
		if !strings.Contains(list.stdout, topic.Name+" ") || list.code != 0 {
			t.Errorf("no %s: %s", topic.Name, list)
		}
		res := run(t, kax(asIs, "explain", topic.Name))
		if res.code != 0 || !strings.HasPrefix(res.stdout, topic.Title+"\n") || res.stderr != "" {
			t.Errorf("%s: %s", topic.Name, res)
		}
	}
	for topic, want := range map[string][]string{
		"flags":    {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"},
		"settings": {"Linux", "macOS", "FreeBSD", "Windows", "OpenBSD", "TCP_USER_TIMEOUT"},
		"timers":   {"61.440 s", "calc_wheel_index"},
		"timeouts": {"nginx", "5m50s", "2023"},
	} {
		res := run(t, kax(asIs, "explain", topic))
		for _, word := range want {
			if !strings.Contains(single(res.stdout), word) {
				t.Errorf("%s: no %q: %s", topic, word, res)
			}
		}
	}
	res := run(t, kax(asIs, "__complete", "explain", ""))
	if !strings.Contains(res.stdout, "timers\tWhen probes go") || !strings.HasSuffix(res.stdout, ":4\n") {
		t.Error(res)
	}
}

// On a terminal a page goes through a pager, as with git and man; in a pipe it never
// does.
func TestExplainPager(t *testing.T) {
	t.Parallel()
	need.Tool(t, "less")
	need.Tool(t, "sed")
	const paged = "PAGER=sed 's/^/a page:/' | cat" // words as sh has them
	title := "The keepalive probe"
	bold := "\x1b[1m" + title + "\x1b[m"
	for _, tt := range []struct {
		name, env, flag string
		starts          string
		rows            uint16
	}{
		{"PAGER", paged, "", "a page:" + bold, 24},
		{"a short screen and less, which waits for a key", "", "", bold, 10},
		{"less, and all fits", "LESS=FRX", "", bold, 200},
		{"no pager", paged, "--no-pager", bold, 24},
		{"an empty PAGER", "PAGER=", "", bold, 10},
		{"a PAGER that is not there", "PAGER=no-such-pager", "", bold, 10},
		{"a PAGER that fails", "PAGER=false", "", "", 10},
		{"no colour", paged, "--color=never", "a page:" + title, 24},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			master, terminal := openTerminal(t, tt.rows, 80)
			args := []string{"explain", "probe"}
			if tt.flag != "" {
				args = append(args, tt.flag)
			}
			cmd := kax(asIs, args...)
			cmd.Env = append(cmd.Env, "TERM=xterm", "LESS=")
			if tt.env != "" {
				cmd.Env = append(cmd.Env, tt.env)
			}
			cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
			cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			terminal.Close()
			waits := strings.Contains(tt.name, "waits")
			var out strings.Builder
			buf := make([]byte, 1<<16)
			for {
				n, err := master.Read(buf)
				out.Write(buf[:n])
				if err != nil { // EIO: all have closed it
					break
				}
				if waits && strings.Contains(out.String(), "What is sent") {
					waits = false
					if _, err := io.WriteString(master, "q"); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v: %q", err, out.String())
			}
			if !strings.Contains(out.String(), tt.starts) || waits {
				t.Errorf("no %q: %q", tt.starts, out.String())
			}
			if whole := strings.Contains(out.String(), "idle timeout runs on"); whole == (tt.rows == 10 && tt.env == "" || tt.starts == "") {
				t.Errorf("all of it: %v: %q", whole, out.String())
			}
		})
	}
	cmd := kax(asIs, "explain", "probe")
	cmd.Env = append(cmd.Env, paged)
	if res := run(t, cmd); res.code != 0 || !strings.HasPrefix(res.stdout, title) {
		t.Error(res)
	}
}

// ^C is the pager's: kax waits for it.
func TestExplainInterrupted(t *testing.T) {
	t.Parallel()
	need.Tool(t, "sh")
	master, terminal := openTerminal(t, 24, 80)
	cmd := kax(asIs, "explain", "probe")
	cmd.Env = append(cmd.Env, "TERM=xterm", "PAGER=sh "+script(t, "trap 'echo caught; exit' INT\necho ready\nwhile :; do sleep 0.05; done\n"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	var out strings.Builder
	buf := make([]byte, 4096)
	sent := false
	for {
		n, err := master.Read(buf)
		out.Write(buf[:n])
		if err != nil {
			break
		}
		if !sent && strings.Contains(out.String(), "ready") {
			sent = true
			if _, err := io.WriteString(master, "\x03"); err != nil { // the terminal makes it a SIGINT
				t.Fatal(err)
			}
		}
	}
	err := cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); err != nil || status.Signaled() || !strings.Contains(out.String(), "caught") {
		t.Errorf("%v: %q", err, out.String())
	}
}

// script writes a shell's script to a file.
func script(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
