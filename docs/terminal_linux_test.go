package docs_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A terminal is a shell that takes one command after the other. Its output and
// that of its commands is one stream, as on a screen.
type terminal struct {
	dir   string // for the commands' text
	shell *exec.Cmd
	steps *os.File
	code  int   // of the last command
	old   []int // processes that go on behind it

	mu      sync.Mutex
	out     []byte        // what nobody has looked at yet
	ended   bool          // the shell
	arrived chan struct{} // something came
}

// loop runs files that are named on descriptor 3, and marks their ends, with the
// exit code.
const loop = `while IFS= read -r step <&3; do . "$step" 3<&- </dev/null; printf '\001%d\n' "$?"; done`

var mark = regexp.MustCompile("\x01([0-9]+)\n")

// patience is how long nothing may come, on a busy machine. A writer who looks what
// comes need not wait for what does not.
func patience() time.Duration {
	if *update {
		return 15 * time.Second
	}
	return 3 * time.Minute // go run may have to compile
}

var errSilent = errors.New("nothing more came")

// open starts a shell that is prepared by as.
func open(dir, scratch string, as *syscall.SysProcAttr) (*terminal, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	as.Setpgid = true // ^C is for the group
	t := &terminal{dir: scratch, steps: write, arrived: make(chan struct{}, 1)}
	t.shell = exec.Command("sh", "-c", loop)
	t.shell.Dir, t.shell.SysProcAttr = dir, as
	t.shell.Stdout, t.shell.Stderr = outWrite, outWrite
	t.shell.ExtraFiles = []*os.File{read}
	err = t.shell.Start()
	read.Close()
	outWrite.Close()
	if err != nil {
		return nil, fmt.Errorf("start a shell: %w", err)
	}
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := outRead.Read(buf)
			t.mu.Lock()
			t.out = append(t.out, buf[:n]...)
			t.ended = err != nil
			t.mu.Unlock()
			select {
			case t.arrived <- struct{}{}:
			default:
			}
			if err != nil {
				outRead.Close()
				return
			}
		}
	}()
	return t, nil
}

// enter gives the shell a command. It sees the exit code of the one before.
func (t *terminal) enter(command string) error {
	t.old = t.processes()
	f, err := os.CreateTemp(t.dir, "step-")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(f, "(exit %d)\n%s\n", t.code, command); err != nil {
		return err
	}
	_, err = fmt.Fprintln(t.steps, f.Name())
	return err
}

// wait calls seen with what has come and was not taken, whenever more has, until
// it takes some of it (-1 is none), the command has ended or nothing comes.
func (t *terminal) wait(seen func(out []byte, ended bool) (take int)) error {
	silence := time.NewTimer(patience())
	defer silence.Stop()
	for {
		t.mu.Lock()
		ended := t.ended || mark.Match(t.out)
		n := seen(t.out, ended)
		if n >= 0 {
			t.out = t.out[n:]
		}
		died := t.ended && n < 0
		t.mu.Unlock()
		if n >= 0 {
			return nil
		}
		if died {
			return errors.New("the shell has ended")
		}
		select {
		case <-t.arrived:
		case <-silence.C:
			return errSilent
		}
	}
}

// finish waits for the command's end, and returns what it has put out.
func (t *terminal) finish() (out string, err error) {
	err = t.wait(func(b []byte, _ bool) int {
		m := mark.FindSubmatchIndex(b)
		if m == nil {
			return -1
		}
		out = string(b[:m[0]])
		t.code, _ = strconv.Atoi(string(b[m[2]:m[3]]))
		return m[1]
	})
	if err != nil {
		t.mu.Lock()
		out = string(t.out)
		t.mu.Unlock()
	}
	return out, err
}

// more waits until enough likes the whole lines that have come of a command that
// goes on. Enough says how many of them it has taken.
func (t *terminal) more(enough func(lines []string) (int, bool)) (got []string, err error) {
	err = t.wait(func(b []byte, ended bool) int {
		b, _, _ = bytes.Cut(b, []byte{1})
		b = b[:bytes.LastIndexByte(b, '\n')+1]
		got = split(string(b))
		n, ok := enough(got)
		switch {
		case ok:
			return len(strings.Join(got[:n], "\n")) + min(n, 1)
		case ended:
			return 0 // it will put out no more
		}
		return -1
	})
	return got, err
}

// skip passes over what has come.
func (t *terminal) skip() {
	_ = t.wait(func(b []byte, _ bool) int { return bytes.LastIndexByte(b[:len(b)-len(mark.Find(b))], '\n') + 1 })
}

// interrupt is ^C, for what the last command has started.
func (t *terminal) interrupt() error {
	for _, pid := range t.processes() {
		if slices.Contains(t.old, pid) || pid == t.shell.Process.Pid {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// processes are those of the shell's group.
func (t *terminal) processes() (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// proc_pid_stat(5): after the name in brackets state, parent and group.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if group, err := strconv.Atoi(fields[2]); err == nil && group == t.shell.Process.Pid {
			pids = append(pids, pid)
		}
	}
	return pids
}

// close ends the shell and what it has started.
func (t *terminal) close() {
	_ = syscall.Kill(-t.shell.Process.Pid, syscall.SIGKILL)
	t.steps.Close()
	_ = t.shell.Wait()
}

// split cuts output into lines.
func split(out string) []string {
	if out == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(out, "\n"), "\n")
}
