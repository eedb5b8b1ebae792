package cli

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kax/internal/need"
)

func TestSocketsRefresh(t *testing.T) {
	t.Parallel()
	h := openConn(t, prompt, noKeepalive)
	args := []string{"tcp", "sockets", "--port", h.port(), "--refresh", "10ms"}
	text := start(t, kax(asIs, args...))
	for range 3 {
		text.until(t, "3 sockets")
	}
	records := start(t, kax(asIs, append(args, "--json")...))
	for range 3 {
		records.until(t, `"LISTEN"`)
	}
	for _, r := range []*running{text, records} {
		if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	res := text.end(t)
	if res.code != 0 || res.stderr != "" || !strings.Contains(res.stdout, "unknown\n\nstate ") || strings.Contains(res.stdout, "\x1b") {
		t.Error(res)
	}
	if res = records.end(t); res.code != 0 || len(listing(t, res, 1)) < 7 {
		t.Error(res)
	}
}

// On a terminal one table is drawn over the other, and none is longer than it.
func TestSocketsOnATerminal(t *testing.T) {
	t.Parallel()
	h := openConn(t, prompt, noKeepalive)
	master, terminal := openTerminal(t, 12, 60)
	cmd := kax(asIs, "tcp", "sockets", "--port", h.port(), "--refresh", "10ms")
	cmd.Env = append(cmd.Env, "TERM=xterm")
	cmd.Stdout, cmd.Stderr = terminal, terminal
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	var out strings.Builder
	buf := make([]byte, 4096)
	stopped := false
	for {
		n, err := master.Read(buf)
		out.Write(buf[:n])
		if err != nil { // EIO: nobody has the terminal open any more
			break
		}
		if !stopped && strings.Count(out.String(), "\x1b[J") > 2 {
			stopped = true
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	text := out.String()
	if !strings.HasPrefix(text, "\x1b[2J\x1b[H\x1b[1mstate") || strings.Count(text, "\x1b[2J") != 1 || !strings.HasSuffix(text, "\x1b[J\r\n") {
		t.Errorf("%q", text)
	}
	for _, frame := range strings.Split(text, "\x1b[H")[1:] {
		for line := range strings.Lines(frame) {
			line = strings.NewReplacer("\x1b[1m", "", "\x1b[0m", "", "\x1b[K", "", "\x1b[J", "", "\r", "", "\n", "").Replace(line)
			if n := len([]rune(line)); n > 60 {
				t.Errorf("%d columns of 60: %q", n, line)
			}
		}
		if n := strings.Count(frame, "\n"); n > 12 {
			t.Errorf("%d lines of 12: %q", n, frame)
		}
	}
}

// openTerminal opens a pseudoterminal (pty(7)) of a size.
func openTerminal(t *testing.T, rows, columns uint16) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	need.Permission(t, "open a terminal", err)
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	need.Permission(t, "open a terminal", err)
	return master, terminal
}
