package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kax/internal/need"
	"kax/internal/netns"
	"kax/internal/timeline"
)

// The test binary is kax too, when the environment says so, and can prepare a
// namespace of the test's own before.
const (
	envMain   = "KAX_TEST_MAIN"
	envStatus = "KAX_TEST_STATUS" // where it leaves its proc_pid_status(5) in the end
	asIs      = "as it is"
	freshNet  = "in a new network" // lo up; kax takes it for the host's network
	noRaw     = "without CAP_NET_RAW"
	noRawAs   = "without CAP_NET_RAW, else as it is"
	bare      = "without leave" // and without user namespaces
)

func TestMain(m *testing.M) {
	mode := os.Getenv(envMain)
	if mode == "" {
		if err := enterInside(); err != nil {
			fmt.Fprintln(os.Stderr, "prepare the test:", err)
			os.Exit(99)
		}
		if signal.Ignored(syscall.SIGHUP) { // by nohup; what is caught here is not ignored in what this starts
			signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
		}
		// These tests wait for the kernel's timers and compute little: far
		// more of them than processors can wait at a time.
		flag.Parse()
		if err := flag.Set("test.parallel", "12"); err != nil {
			panic(err)
		}
		code := m.Run()
		if demoMade {
			demo, _ := demoFile()
			os.RemoveAll(filepath.Dir(demo.file))
		}
		os.Exit(code)
	}
	if err := prepare(mode); err != nil {
		fmt.Fprintln(os.Stderr, "prepare the test:", err)
		os.Exit(99)
	}
	code := Main(os.Args[1:], os.Stdout, os.Stderr)
	if file := os.Getenv(envStatus); file != "" {
		status, err := os.ReadFile("/proc/self/status")
		if err == nil {
			err = os.WriteFile(file, status, 0o600)
		}
		if err != nil {
			panic(err)
		}
	}
	os.Exit(code)
}

func prepare(mode string) error {
	switch mode {
	case freshNet:
		os.Setenv(envMain, asIs)
		return netns.LoopbackUp()
	case noRaw, noRawAs, bare:
		if err := netns.LoopbackUp(); err != nil {
			return err
		}
		if mode == bare {
			if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
				return err
			}
		}
		// The bounding set takes effect at the next exec (capabilities(7)),
		// and is the calling thread's.
		runtime.LockOSThread()
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_NET_RAW, 0, 0, 0); err != nil {
			return fmt.Errorf("drop CAP_NET_RAW: %w", err)
		}
		os.Setenv(envMain, asIs)
		return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
	}
	return nil
}

// kax returns a command that is kax with these arguments.
func kax(mode string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "kax"
	cmd.Env = append(os.Environ(), envMain+"="+mode, "NO_COLOR=", "COLUMNS=",
		"GORACE=atexit_sleep_ms=0") // or every kax takes a second to end
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if mode != asIs && mode != noRawAs {
		newNamespaces(cmd)
	}
	return cmd
}

// newNamespaces makes cmd run as root of a user and a network namespace of its
// own.
func newNamespaces(cmd *exec.Cmd) {
	cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWNET
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
}

// ordinary makes cmd run as a user without privileges.
func ordinary(cmd *exec.Cmd) *exec.Cmd {
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	return cmd
}

// needNamespaces skips a test where user namespaces are forbidden.
func needNamespaces(t *testing.T) {
	t.Helper()
	need.Permission(t, "make user namespaces", kax(freshNet, "version").Run())
}

// result is what a finished command has left.
type result struct {
	stdout, stderr string
	code           int
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d\n--- stdout\n%s--- stderr\n%s", r.code, r.stdout, r.stderr)
}

// run runs cmd to its end.
func run(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("kax %v: %v", cmd.Args[1:], err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// running is a command whose lines are read as they come.
type running struct {
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	stdout strings.Builder
	stderr bytes.Buffer
}

func start(t *testing.T, cmd *exec.Cmd) *running {
	t.Helper()
	r := &running{cmd: cmd}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = &r.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	r.lines = bufio.NewScanner(out)
	r.lines.Buffer(nil, 1<<20)
	return r
}

// until reads on until a line has the text.
func (r *running) until(t *testing.T, text string) {
	t.Helper()
	for r.lines.Scan() {
		fmt.Fprintln(&r.stdout, r.lines.Text())
		if strings.Contains(r.lines.Text(), text) {
			return
		}
	}
	_ = r.cmd.Wait()
	t.Fatalf("kax %v ended before %q\n%s%s", r.cmd.Args[1:], text, r.stdout.String(), r.stderr.String())
}

// end reads the rest.
func (r *running) end(t *testing.T) result {
	t.Helper()
	for r.lines.Scan() {
		fmt.Fprintln(&r.stdout, r.lines.Text())
	}
	_ = r.cmd.Wait()
	return result{r.stdout.String(), r.stderr.String(), r.cmd.ProcessState.ExitCode()}
}

// records is a parsed --json output.
type records struct {
	header  *timeline.Header
	steps   []*timeline.Step
	events  []*timeline.Event
	conns   []*timeline.Conn
	plan    *timeline.Plan
	deaths  []*timeline.Death
	sockets []*timeline.Socket
	changes []*timeline.Change
	pokes   []*timeline.Poke
	idle    *timeline.Idle
	race    *timeline.Race
	asked   []*timeline.Exchange
	packets []*timeline.Packet
	labs    []*timeline.Lab
	summary *timeline.Summary
}

// parse demands that every line is a record with one key, the header first
// and the summary last.
func parse(t *testing.T, r result) records {
	t.Helper()
	out := parseOpen(t, r)
	if out.summary == nil {
		t.Fatalf("no summary\n%s", r)
	}
	return out
}

// parseOpen is parse for a command without a summary.
func parseOpen(t *testing.T, r result) records {
	t.Helper()
	var out records
	dec := json.NewDecoder(strings.NewReader(r.stdout))
	dec.DisallowUnknownFields()
	for {
		var rec timeline.Record
		if err := dec.Decode(&rec); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v\n%s", err, r)
		}
		if out.summary != nil {
			t.Fatalf("a record after the summary\n%s", r)
		}
		if (out.header == nil) != (rec.Header != nil) {
			t.Fatalf("the header is not the first record\n%s", r)
		}
		switch {
		case rec.Header != nil:
			out.header = rec.Header
		case rec.Step != nil:
			out.steps = append(out.steps, rec.Step)
		case rec.Event != nil:
			out.events = append(out.events, rec.Event)
		case rec.Conn != nil:
			out.conns = append(out.conns, rec.Conn)
		case rec.Plan != nil && out.plan == nil:
			out.plan = rec.Plan
		case rec.Death != nil:
			out.deaths = append(out.deaths, rec.Death)
		case rec.Socket != nil:
			out.sockets = append(out.sockets, rec.Socket)
		case rec.Change != nil:
			out.changes = append(out.changes, rec.Change)
		case rec.Poke != nil:
			out.pokes = append(out.pokes, rec.Poke)
		case rec.Idle != nil && out.idle == nil:
			out.idle = rec.Idle
		case rec.Race != nil && out.race == nil:
			out.race = rec.Race
		case rec.Exchange != nil:
			out.asked = append(out.asked, rec.Exchange)
		case rec.Packet != nil:
			out.packets = append(out.packets, rec.Packet)
		case rec.Lab != nil:
			out.labs = append(out.labs, rec.Lab)
		case rec.Summary != nil:
			out.summary = rec.Summary
		default:
			t.Fatalf("a record that is not to come here\n%s", r)
		}
	}
	// They come in the order in which they end.
	slices.SortFunc(out.conns, func(a, b *timeline.Conn) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(out.asked, func(a, b *timeline.Exchange) int { return cmp.Compare(a.N, b.N) })
	return out
}

func (r records) kind(kind string) (found []*timeline.Event) {
	for _, e := range r.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// sharedDir is a folder that an ordinary user can write to.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kax-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// child returns the only child process of pid.
func child(t *testing.T, pid int) int {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has ended
		}
		for word := range strings.FieldsSeq(string(text)) {
			var n int
			if _, err := fmt.Sscan(word, &n); err == nil {
				found = append(found, n)
			}
		}
	}
	if len(found) != 1 {
		t.Fatalf("kax has %d child processes, want 1", len(found))
	}
	return found[0]
}
