package docs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kax/internal/need"
)

// A reader types what a page shows.
type reader struct {
	page      *page
	dir       string // the reader's own
	scratch   string // the test's
	terminals map[int]*terminal
	edits     []edit
}

// nobody is an ordinary user's number.
const nobody = 65534

// newReader makes this process one that the reader's shells can start from.
func newReader(t *testing.T, p *page) *reader {
	t.Helper()
	r := &reader{page: p, dir: folder(t), scratch: folder(t), terminals: map[int]*terminal{}}
	t.Cleanup(func() {
		for _, term := range r.terminals {
			term.close()
		}
	})
	bin := filepath.Join(r.scratch, "bin")
	install(t, bin)
	if slices.Contains(p.needs, "clone") {
		clone(t, filepath.Join(r.dir, "kax"))
	}
	if slices.Contains(p.needs, "go") {
		useGo(t, bin)
	}
	if os.Getenv(envInside) == asRoot && !p.asRoot {
		err := filepath.WalkDir(r.dir, func(name string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(name, nobody, nobody))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"PATH": bin + ":" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "HOME": r.dir, "LC_ALL": "C.UTF-8", "TERM": "dumb",
		"GORACE": "atexit_sleep_ms=0", // or every kax takes a second to end
		envSudo:  filepath.Join(r.scratch, "sudo"),
	} {
		os.Setenv(name, value)
	}
	for _, name := range []string{"COLUMNS", "NO_COLOR", "PAGER"} {
		os.Unsetenv(name)
	}
	l, err := serveSudo(os.Getenv(envSudo))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return r
}

// folder is one that other users can look into.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kax-docs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// install puts this binary into a folder for PATH, by its other names. An ordinary
// user cannot reach where go test keeps it.
func install(t *testing.T, bin string) {
	t.Helper()
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "kax"), self, 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	if err := os.Symlink("kax", filepath.Join(bin, "sudo")); err != nil {
		t.Fatal(err)
	}
}

// clone copies the tree, as git would.
func clone(t *testing.T, to string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		target := filepath.Join(to, name)
		switch {
		case err != nil:
			return err
		case name == ".git" && d.IsDir():
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
}

// useGo lets a page use go, offline: its modules are those of the tests, which are
// in the caches of whoever runs them. As root that is not who reads the page.
func useGo(t *testing.T, bin string) {
	t.Helper()
	tool := need.Tool(t, "go")
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		value, err := exec.Command(tool, "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		os.Setenv(name, strings.TrimSpace(string(value)))
	}
	os.Setenv("GOPROXY", "off")
	if os.Getenv(envInside) != asRoot {
		return
	}
	script := fmt.Sprintf("#!/bin/sh\nexec sudo %s \"$@\"\n", tool)
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte(script), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
}

// terminal returns a terminal of the page by its number.
func (r *reader) terminal(n int) (*terminal, error) {
	if t := r.terminals[n]; t != nil {
		return t, nil
	}
	as := &syscall.SysProcAttr{}
	switch {
	case r.page.asRoot:
	case os.Getenv(envInside) == asRoot:
		as.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	default: // another user namespace has no say in this one's network
		as.Cloneflags = unix.CLONE_NEWUSER
		as.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getuid(), Size: 1}}
		as.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getgid(), Size: 1}}
	}
	t, err := open(r.dir, r.scratch, as)
	if err == nil {
		r.terminals[n] = t
	}
	return t, err
}

// read goes through the page, as far as it is as shown. With -update it goes on, and
// writes what came into the page.
func (r *reader) read() error {
	var wrong error
	for _, b := range r.page.blocks {
		if b.file != "" {
			text := strings.Join(b.lines, "\n") + "\n"
			if err := os.WriteFile(filepath.Join(r.dir, b.file), []byte(text), 0o644); err != nil { //nolint:gosec // the reader is another user
				return errors.Join(wrong, err)
			}
		}
		if !b.runs() {
			continue
		}
		if err := r.block(b); err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("%s:%d: %w", r.page.name, b.line, err))
			if !*update {
				return wrong
			}
		}
	}
	if *update {
		wrong = errors.Join(wrong, r.rewrite())
	}
	return wrong
}

func (r *reader) block(b *block) error {
	term, err := r.terminal(b.terminal)
	if err != nil {
		return err
	}
	if b.before != "" {
		if err := term.enter(b.before); err != nil {
			return err
		}
		if out, err := term.finish(); err != nil || term.code != 0 {
			return fmt.Errorf("what comes before it: exit code %d, %w\n%s", term.code, err, out)
		}
	}
	m, err := newMatcher(b.varies)
	if err != nil {
		return err
	}
	all := b.steps()
	var wrong error
	for i, s := range all {
		asks := i+1 < len(all) && all[i+1].command == "echo $?"
		wrong = errors.Join(wrong, r.step(term, b, m, s, i+1 < len(all), asks))
		if wrong != nil && !*update {
			return wrong
		}
	}
	if wrong != nil {
		return wrong
	}
	if names := m.unused(); len(names) > 0 {
		return fmt.Errorf("nothing that is shown is of what varies: %q", names)
	}
	return nil
}

// step does one. A command in the first terminal, or with another behind it, has to
// end; one that does not, to put out what is shown.
func (r *reader) step(term *terminal, b *block, m *matcher, s *step, more, asks bool) error {
	if s.command != "" {
		if err := term.enter(s.command); err != nil {
			return err
		}
	}
	if b.notShown {
		return silently(term, s)
	}
	if s.stopped || b.terminal > 1 && !more || strings.HasSuffix(s.command, "&") {
		var bad error
		got, err := term.more(func(lines []string) (int, bool) {
			n, err := m.match(s.shown, b.omits, true, lines)
			bad = err
			wrong := (*mismatch)(nil)
			return n, err == nil || !b.omits && errors.As(err, &wrong) && wrong.got != none // more will not mend it
		})
		if err = errors.Join(bad, err); err != nil {
			err = r.differs(b, s, s.shown, got, err)
			if !*update {
				return err
			}
			term.skip()
		}
		if s.stopped {
			if err := term.interrupt(); err != nil {
				return err
			}
			return errors.Join(err, r.end(term, b, m, s, s.after, asks))
		}
		if strings.HasSuffix(s.command, "&") {
			_, ended := term.finish()
			err = errors.Join(err, ended)
		}
		return err
	}
	return r.end(term, b, m, s, s.shown, asks)
}

// end waits for a command's end and compares the rest of its output. Where it fails
// that has to be shown, by asking for the exit code.
func (r *reader) end(term *terminal, b *block, m *matcher, s *step, want shown, asks bool) error {
	out, err := term.finish()
	if err != nil {
		return fmt.Errorf("%s: %w\nall that came:\n%s", s.command, err, out)
	}
	if _, err := m.match(want, b.omits, false, split(out)); err != nil {
		return r.differs(b, s, want, split(out), err)
	}
	if term.code != 0 && !asks {
		return fmt.Errorf("%s: exit code %d, which is not shown: $ echo $?\n%s", s.command, term.code, out)
	}
	return nil
}

// silently does a step whose output is not shown: there has to be some, and no
// failure. What runs until ^C gets it then.
func silently(term *terminal, s *step) error {
	if endless(s.command) {
		if _, err := term.more(func(lines []string) (int, bool) { return 0, len(lines) > 0 }); err != nil {
			return fmt.Errorf("%s: %w", s.command, err)
		}
		if err := term.interrupt(); err != nil {
			return err
		}
	}
	switch out, err := term.finish(); {
	case err != nil:
		return fmt.Errorf("%s: %w\nall that came:\n%s", s.command, err, out)
	case term.code != 0:
		return fmt.Errorf("%s: exit code %d\n%s", s.command, term.code, out)
	case out == "":
		return fmt.Errorf("%s: puts nothing out", s.command)
	}
	return nil
}

// An edit is output that a page does not show as it comes.
type edit struct {
	want shown
	came []string
}

// rewrite puts what came into the page.
func (r *reader) rewrite() error {
	slices.SortFunc(r.edits, func(a, b edit) int { return b.want.line - a.want.line }) // from the end
	lines := strings.Split(r.page.text, "\n")
	for _, e := range r.edits {
		lines = slices.Replace(lines, e.want.line-1, e.want.line-1+len(e.want.lines), e.came...)
	}
	return os.WriteFile(filepath.Join(root, r.page.name), []byte(strings.Join(lines, "\n")), 0o644)
}

// differs keeps the edit, and says what is wrong.
func (r *reader) differs(b *block, s *step, want shown, came []string, err error) error {
	err = fmt.Errorf("%s: %w\nall that came:\n%s", s.command, err, strings.Join(came, "\n"))
	came = slices.Clone(came)
	for i, line := range came {
		if line != "" {
			came[i] = b.indent + line
		}
	}
	r.edits = append(r.edits, edit{want, came})
	return err
}
