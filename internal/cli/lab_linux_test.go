package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kax/internal/capture"
	"kax/internal/lab"
	"kax/internal/need"
	"kax/internal/timeline"
)

// kernelOf sums up a counter over hosts: those whose label ends in the name, or
// all.
func kernelOf(l *timeline.Lab, host, counter string) (sum int) {
	for label, counters := range l.Kernel {
		if strings.HasSuffix(label, host) {
			sum += counters[counter]
		}
	}
	return sum
}

// Every lab holds for an ordinary user, and its timeline is what the kernels of
// its hosts have counted.
func TestLabs(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	for _, l := range lab.Labs() {
		t.Run(l.Name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(sharedDir(t), "lab.pcapng")
			res := run(t, ordinary(kax(asIs, "lab", "run", l.Name, "--json", "-w", file)))
			if res.code == exitUnable {
				need.Permission(t, "run lab "+l.Name, errors.New(res.stderr))
			}
			if res.code != 0 || res.stderr != "" {
				t.Fatal(res)
			}
			r := parse(t, res)
			if len(r.labs) != 1 || !r.labs[0].Held || len(r.labs[0].Checks) == 0 || r.labs[0].Name != l.Name {
				t.Fatalf("lab records %+v", r.labs)
			}
			checkKernel(t, r)
			if int(r.labs[0].Lasted.Duration().Seconds()) >= 20 {
				t.Errorf("it took %v", r.labs[0].Lasted.Duration())
			}
			checkInterfaces(t, file, r.labs[0])
			if t.Failed() {
				t.Log(res)
			}
		})
	}
}

// checkKernel holds the timeline against the counters of the hosts.
func checkKernel(t *testing.T, r records) {
	t.Helper()
	l := r.labs[0]
	for counter, kind := range map[string]string{"TCPKeepAlive": "probe", "TCPWinProbe": "window-probe", "ActiveOpens": "syn"} {
		if counted, seen := kernelOf(l, "", counter), len(r.kind(kind)); counted != seen {
			t.Errorf("%s is %d, and there are %d of %s", counter, counted, seen, kind)
		}
	}
}

// checkInterfaces demands packets of every host in a file.
func checkInterfaces(t *testing.T, name string, l *timeline.Lab) {
	t.Helper()
	in, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	f, err := capture.NewFile(in, name)
	if err != nil {
		t.Fatal(err)
	}
	for {
		var p capture.Packet
		if err := f.Next(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for _, i := range f.Interfaces() {
		for host := range l.Kernel {
			if strings.HasPrefix(i.Name, host+" ") {
				seen[host] = true
			}
		}
	}
	if len(seen) != len(l.Kernel) {
		t.Errorf("packets of %v in the file, of %d hosts", seen, len(l.Kernel))
	}
}

func TestLabAll(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	res := run(t, kax(freshNet, "lab", "run", "all", "--json"))
	r := parseOpen(t, res)
	if res.code != 0 || len(r.labs) != len(lab.Labs()) {
		t.Errorf("%d labs: %s", len(r.labs), res)
	}
	for _, l := range r.labs {
		if !l.Held {
			t.Errorf("%s: %v", l.Name, l.Contradicted())
		}
	}
}

// Where namespaces are forbidden that is said, and nothing else is.
func TestLabForbidden(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	for _, name := range []string{"close", "all"} {
		cmd := kax(bare, "lab", "run", name)
		res := run(t, cmd)
		if res.code != exitUnable || !strings.Contains(res.stderr, "namespace") || !strings.Contains(res.stderr, "hint: ") || res.stdout != "" {
			t.Errorf("%s: %s", name, res)
		}
	}
}

// However a lab ends, the process in its namespaces ends with it, and these with
// that.
func TestLabLeavesNothing(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	for _, moment := range []string{`"header"`, `"established"`, `"probe"`, `"nth":2`} {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
			t.Run(moment+" "+sig.String(), func(t *testing.T) {
				t.Parallel()
				file := filepath.Join(sharedDir(t), "lab.pcapng")
				run := start(t, ordinary(kax(asIs, "lab", "run", "nat", "--json", "-w", file)))
				run.until(t, moment)
				inside := child(t, run.cmd.Process.Pid)
				fd, err := unix.PidfdOpen(inside, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer unix.Close(fd)
				// Nobody else is in its namespaces, so that these end with it.
				for _, pid := range whoIsIn(t, networksOf(t, inside)) {
					if pid != inside {
						t.Errorf("process %d is in a network of the lab's", pid)
					}
				}
				if err := run.cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				gone(t, fd)
				res := run.end(t)
				if sig != syscall.SIGKILL {
					if r := parse(t, res); res.code != exitInterrupted || len(r.labs) != 0 {
						t.Errorf("stopped: %s", res)
					}
					if moment != `"header"` && packetsIn(t, file) == 0 {
						t.Error("no packets in the file")
					}
				}
			})
		}
	}
}

// At any moment: the parent may be killed before there is a word of output.
func TestLabKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	const runs = 20
	for i := range runs {
		file := filepath.Join(sharedDir(t), "lab.pcapng") // names the run
		cmd := ordinary(kax(asIs, "lab", "run", "vanish", "-w", file))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i*i) * time.Millisecond) // closest to the beginning
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		for guard := time.Now().Add(20 * time.Second); len(withArgument(t, file)) > 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(guard) {
				t.Fatalf("killed after %d ms: processes %v are left", i*i, withArgument(t, file))
			}
		}
	}
}

// withArgument are the processes with an argument.
func withArgument(t *testing.T, argument string) (pids []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if line, err := os.ReadFile(name); err == nil && strings.Contains(string(line), argument) {
			pids = append(pids, name)
		}
	}
	return pids
}

// gone waits until a process has ended.
func gone(t *testing.T, pidfd int) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 20_000)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n != 1 || err != nil {
			t.Errorf("the process inside lives on: %v", err)
			_ = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
		}
		return
	}
}

// networksOf are the network namespaces that a process has open, and its own.
func networksOf(t *testing.T, pid int) (names []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range append(links, "/proc/"+strconv.Itoa(pid)+"/ns/net") {
		if name, err := os.Readlink(link); err == nil && strings.HasPrefix(name, "net:") {
			names = append(names, name)
		}
	}
	return names
}

// whoIsIn are the processes in network namespaces.
func whoIsIn(t *testing.T, networks []string) (pids []int) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		name, err := os.Readlink(link)
		if err != nil || !slices.Contains(networks, name) {
			continue // also one that has ended meanwhile
		}
		var pid int
		if _, err := fmt.Sscanf(link, "/proc/%d/ns/net", &pid); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// Labs that run one after the other in a process leave no descriptor open.
func TestLabDescriptors(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	l, _ := lab.Find("close")
	play := func() int {
		r, err := l.Play(t.Context(), lab.Env{Source: timeline.UserNS, Emit: func(timeline.Record) {}}, l.Settings)
		if err != nil || !r.Held {
			t.Fatalf("%+v, %v", r, err)
		}
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(open)
	}
	first := play()
	for range 3 {
		if n := play(); n != first {
			t.Errorf("%d descriptors open, %d after the first run", n, first)
		}
	}
}

// Of several labs a contradicted one weighs most, and one that cannot run least.
func TestLabExitCodes(t *testing.T) {
	l := lab.Lab{Name: "nat"}
	against := &timeline.LabResult{Checks: []timeline.Check{{Text: "This holds.", Held: true}, {Text: "This does not."}}}
	held, failed, unable := &timeline.LabResult{Held: true}, &timeline.LabResult{Error: "no"}, &timeline.LabResult{Error: "no", Unable: true}
	for _, tc := range []struct {
		results []*timeline.LabResult
		code    int
		says    string
	}{
		{[]*timeline.LabResult{held}, 0, ""},
		{[]*timeline.LabResult{held, unable}, exitUnable, "cannot run here: nat"},
		{[]*timeline.LabResult{unable, failed, held}, exitFailed, "failed: nat"},
		{[]*timeline.LabResult{unable, failed, against}, exitProblem, "contradicted: nat"},
	} {
		var (
			said  strings.Builder
			tally labTally
		)
		for _, r := range tc.results {
			tally.add(l, r)
		}
		a := &app{stdout: os.Stdout, stderr: &said, running: true}
		if code := a.exit(tally.outcome()); code != tc.code || !strings.Contains(said.String(), tc.says) {
			t.Errorf("exit code %d, want %d; %q", code, tc.code, said.String())
		}
	}
	var said strings.Builder
	a := &app{stdout: os.Stdout, stderr: &said, running: true}
	if code := a.exit(outcome(l, against)); code != exitProblem || said.String() != "kax: lab nat is contradicted: This does not.\n" {
		t.Errorf("exit code %d, %q", code, said.String())
	}
}

// A lab that waits for what does not happen is contradicted, after a while.
func TestLabWaitsInVain(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	l, _ := lab.Find("close")
	l.Limit, l.Run = time.Second, func(b *lab.Bench) error { return b.Sleep(time.Hour) }
	r, err := l.Play(t.Context(), lab.Env{Source: timeline.UserNS, Emit: func(timeline.Record) {}}, l.Settings)
	if err != nil || r.Held || !strings.Contains(r.Checks[0].Text, "has not come") {
		t.Errorf("%+v, %v", r, err)
	}
}

// A sentence that does not hold contradicts the lab.
func TestLabContradicted(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	l, _ := lab.Find("close")
	l.Run = func(b *lab.Bench) error {
		b.Check(true, "This holds.")
		b.Check(false, "This does not.")
		return nil
	}
	var out bytes.Buffer
	r, err := l.Play(t.Context(), lab.Env{Source: timeline.UserNS, Emit: func(r timeline.Record) {
		if r.Lab != nil {
			out.WriteString(strings.Join(r.Lab.Contradicted(), " "))
		}
	}}, l.Settings)
	if err != nil || r.Held || out.String() != "This does not." {
		t.Errorf("%+v, %v, %q", r, err, out.String())
	}
}

// A lab's file has every packet at both ends of its link. Read again, it is one.
func TestReadBothEnds(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	file := filepath.Join(sharedDir(t), "lab.pcapng")
	res := run(t, ordinary(kax(asIs, "lab", "run", "idle-close", "--json", "-w", file)))
	if res.code != 0 {
		t.Fatal(res)
	}
	want := parse(t, res)
	for name, cmd := range map[string]*exec.Cmd{"events": kax(asIs, "read", file, "--json"), "summary": kax(asIs, "read", file, "--json", "--summary")} {
		got := parseOpen(t, run(t, cmd))
		if len(got.conns) != len(want.conns) || got.summary.Packets != want.summary.Packets || got.summary.Requests != want.summary.Requests {
			t.Errorf("%s: %+v, want %+v", name, got.summary, want.summary)
		}
		for kind, n := range want.summary.Events {
			if got.summary.Events[kind] != n {
				t.Errorf("%s: %d of %s, want %d", name, got.summary.Events[kind], kind, n)
			}
		}
	}
}

// Settings under which a lab cannot show what it is for are refused, before
// anything runs.
func TestLabRefuses(t *testing.T) {
	t.Parallel()
	for args, says := range map[string]string{
		"nat --keepidle 6s":             "must come more often than the router forgets, 4s",
		"nat --keepcnt 1":               "would give up after 7",
		"nat --user-timeout 3s":         "would give up after 7",
		"idle-close --keepidle 10s":     "the first probe must come before the idle timeout, 3.5s",
		"user-timeout --user-timeout 0": "nothing to compare without a TCP_USER_TIMEOUT",
		"close --keepidle 2s":           "lab close has no such setting",
	} {
		res := run(t, kax(asIs, append([]string{"lab", "run"}, strings.Fields(args)...)...))
		if res.code != exitUsage || !strings.Contains(res.stderr, says) {
			t.Errorf("want %q: %s", says, res)
		}
	}
}
