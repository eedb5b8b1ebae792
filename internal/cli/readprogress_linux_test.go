package cli

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// longCapture writes a capture that takes many seconds to read: the same member of
// gzip over and over.
func longCapture(t *testing.T) (path string) {
	t.Helper()
	file, _ := recorded(t)
	path = filepath.Join(t.TempDir(), "long.pcapng.gz")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	// One section may follow another (draft-ietf-opsawg-pcapng, section 4.1).
	if _, err := z.Write(bytes.Repeat(data, 8<<20/len(data))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Repeat(member.Bytes(), 500), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// On a terminal a long reading says how far it is. ^C sums up what was read, and
// what was said is gone.
func TestReadProgress(t *testing.T) {
	t.Parallel()
	path := longCapture(t)
	master, terminal := openTerminal(t, 24, 300)
	cmd := kax(asIs, "read", "--summary", path)
	var stdout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, terminal
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	terminal.Close()
	said := regexp.MustCompile(`long\.pcapng\.gz: [0-9]+ packets, [0-9.]+ MB of [0-9.]+ MB \([0-9]+ %\), [0-9]+ s left\x1b\[K$`)
	var shown strings.Builder
	interrupted := false
	for b := make([]byte, 4096); ; {
		n, err := master.Read(b)
		if err != nil {
			break // EIO: the program has closed the terminal (pty(7))
		}
		shown.Write(b[:n])
		if !interrupted && said.MatchString(shown.String()) {
			interrupted = true
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if !interrupted {
		t.Fatalf("said %q", shown.String())
	}
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	rest := shown.String()[strings.LastIndex(shown.String(), " s left"):]
	if !strings.HasPrefix(rest, " s left\x1b[K\r\x1b[K") {
		t.Errorf("it is not taken away: %q", shown.String())
	}
	if !regexp.MustCompile(`[0-9]+ packets, [0-9]+ connections`).MatchString(stdout.String()) {
		t.Errorf("no summary so far: %s", stdout.String())
	}
}
