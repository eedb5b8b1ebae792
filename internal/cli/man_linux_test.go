package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kax/internal/need"
)

// man(1) has nothing to complain of.
func TestManPages(t *testing.T) {
	man := need.Tool(t, "man")
	pages, err := filepath.Glob("../../docs/man/*.1")
	if err != nil || len(pages) == 0 {
		t.Fatal(err, len(pages))
	}
	for _, page := range pages {
		cmd := exec.Command(man, "--warnings", "-l", page)
		cmd.Env = append(os.Environ(), "MANWIDTH=80", "LC_ALL=C.UTF-8")
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil || stderr.Len() > 0 {
			t.Errorf("%s: %v: %s", page, err, stderr.String())
		}
		text := stdout.String()
		name := strings.TrimSuffix(filepath.Base(page), ".1")
		for _, want := range []string{strings.ToUpper(name) + "(1)", "NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "--help"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q:\n%s", page, want, text)
			}
		}
	}
}
