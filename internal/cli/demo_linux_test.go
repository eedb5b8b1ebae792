package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kax/internal/need"
	"kax/internal/netns"
	"kax/internal/timeline"
)

// quick settings leave room for one probe in each pause and one at the end,
// with half a second to spare for a busy machine.
func quick(more ...string) []string {
	return append([]string{"demo", "--json", "--pause", "1.2s", "--idle-timeout", "1.5s"}, more...)
}

// punctual reports that pauses and the idle timeout took as long as they were
// to, and not so much longer that another probe fits in.
func punctual(r records) bool {
	const late = timeline.Seconds(50 * time.Millisecond)
	for _, e := range r.kind("request") {
		if e.Reused && e.Idle > r.header.Settings.Pauses[0]+late {
			return false
		}
	}
	for _, e := range r.kind("idle-close") {
		if e.Idle > r.header.Settings.IdleTimeout+late {
			return false
		}
	}
	return true
}

func TestDemoTellsTheStory(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	for _, tc := range []struct {
		name   string
		mode   string
		user   bool
		flags  []string
		source timeline.Source
		netns  bool
	}{
		{name: "af_packet", mode: freshNet, source: timeline.AFPacket},
		{name: "af_packet, IPv6", mode: freshNet, flags: []string{"--ipv6"}, source: timeline.AFPacket},
		{name: "af_packet, probes from the server", mode: freshNet, flags: []string{"--probe-from", "server"}, source: timeline.AFPacket},
		{name: "af_packet in an own namespace", mode: freshNet, flags: []string{"--netns"}, source: timeline.AFPacket, netns: true},
		{name: "userns", mode: asIs, user: true, source: timeline.UserNS, netns: true},
		{name: "userns, where root has no CAP_NET_RAW", mode: noRaw, source: timeline.UserNS, netns: true},
		{name: "userns by force", mode: freshNet, flags: []string{"--source", "userns"}, source: timeline.UserNS, netns: true},
		{name: "counters", mode: bare, source: timeline.Counters},
		{name: "counters, IPv6", mode: bare, flags: []string{"--ipv6"}, source: timeline.Counters},
		{name: "counters by force", mode: freshNet, flags: []string{"--source", "counters"}, source: timeline.Counters},
		{name: "counters, probes from the server", mode: bare, flags: []string{"--probe-from", "server"}, source: timeline.Counters},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cmd := kax(tc.mode, quick(tc.flags...)...)
			if tc.user {
				cmd = ordinary(cmd)
			}
			res := run(t, cmd)
			if res.code != 0 {
				t.Fatal(res)
			}
			r := parse(t, res)
			if r.header.Source != tc.source || r.header.Settings.Private != tc.netns {
				t.Errorf("source %s, netns %v", r.header.Source, r.header.Settings.Private)
			}
			prober := timeline.Client
			if slices.Contains(tc.flags, "server") {
				prober = timeline.Server
			}
			checkStory(t, r, prober)
			if t.Failed() {
				t.Log(res)
			}
		})
	}
}

// checkStory checks the three acts: what DESIGN calls the whole story.
func checkStory(t *testing.T, r records, prober timeline.Side) {
	t.Helper()
	if len(r.steps) != 3 {
		t.Fatalf("%d acts", len(r.steps))
	}
	if len(r.conns) != 3 {
		t.Fatalf("%d connections", len(r.conns))
	}
	for i, c := range r.conns {
		// After "Connection: close" both ends close, whoever is faster.
		want := timeline.Conn{ID: i + 1, Requests: 1, ClosedBy: c.ClosedBy, Close: timeline.ByFIN}
		if i == 2 {
			want.ClosedBy = timeline.Server
			want.Requests, want.Reused, want.Probes, want.Answered = 3, 2, 3, 3
		}
		got := *c
		if !got.Client.IsValid() || got.Server.Port() != 3000 || got.Ended < got.Opened {
			t.Errorf("conn %+v", got)
		}
		got.Client, got.Server, got.Opened, got.Ended = want.Client, want.Server, 0, 0
		if got != want {
			t.Errorf("conn %+v, want %+v", got, want)
		}
	}
	var last timeline.Seconds
	for _, e := range r.events {
		if e.At < last {
			t.Errorf("%s of #%d at %v comes after %v", e.Kind, e.Conn, e.At, last)
		}
		last = e.At
		if e.Kind == "probe" && e.Side != prober {
			t.Errorf("a probe of the %s", e.Side)
		}
	}
	closes := r.kind("idle-close")
	if len(closes) != 1 || closes[0].Conn != 3 {
		t.Errorf("%d idle-close events", len(closes))
	}
	if s := r.summary; s.Requests != 5 || s.Reused != 2 || s.Answered != 3 || s.Events["probe"] != 3 || s.Dropped != 0 {
		t.Errorf("summary %+v", s)
	}
	if n := len(r.summary.Verdicts); n < 3 || n > 6 {
		t.Errorf("%d verdicts", n)
	}
	checkCount(t, r)
}

// checkCount compares with the kernel's own count, where kax has one.
func checkCount(t *testing.T, r records) {
	t.Helper()
	if !r.header.Settings.Private {
		if r.summary.KernelProbes != nil {
			t.Error("a kernel count of a network that others use")
		}
		return
	}
	if n := r.summary.KernelProbes; n == nil || *n != len(r.kind("probe")) {
		t.Errorf("%d probes, the kernel counted %v", len(r.kind("probe")), n)
	}
}

// Separate settings change what they name, and nothing else.
func TestDemoSettings(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	for _, tc := range []struct {
		flags         []string
		probes, conns int
		reused        int
	}{
		{[]string{}, 3, 3, 2},
		{[]string{"--no-keepalive"}, 0, 3, 2},
		{[]string{"--no-reuse"}, 0, 5, 0},
		{[]string{"--probe-from", "both"}, 6, 3, 2},
		{[]string{"--pause", "2.5s", "--keepidle", "2s", "--idle-timeout", "3s"}, 3, 3, 2},
		{[]string{"--pause", "2.5s", "--idle-timeout", "4s"}, 7, 3, 2},                        // the defaults
		{[]string{"--keepintvl", "2s", "--pause", "2.5s", "--idle-timeout", "3.2s"}, 4, 3, 2}, // every 2 s when answered
		{[]string{"--pause", "2s", "--idle-timeout", "1.5s"}, 3, 5, 0},                        // the server is the first to go
		{[]string{"--pause", "1.2s,100ms"}, 2, 3, 2},
		{[]string{"--close-with", "rst"}, 3, 3, 2},
	} {
		t.Run(strings.Join(tc.flags, " "), func(t *testing.T) {
			t.Parallel()
			res := run(t, kax(freshNet, quick(append(tc.flags, "--netns")...)...))
			if res.code != 0 {
				t.Fatal(res)
			}
			r := parse(t, res)
			checkCount(t, r)
			// Where the processors had no time for kax, it was quiet for longer.
			probes := len(r.kind("probe"))
			if probes < tc.probes || probes > tc.probes && punctual(r) {
				t.Errorf("%d probes, want %d", probes, tc.probes)
			}
			if n := len(r.kind("probe-answer")); n != probes {
				t.Errorf("%d answers, want %d", n, probes)
			}
			if len(r.conns) != tc.conns || r.summary.Reused != tc.reused || r.summary.Requests != 5 {
				t.Errorf("%d connections, %d of %d requests reused one", len(r.conns), r.summary.Reused, r.summary.Requests)
			}
			// The stamps are the kernel's: the close is never early.
			for _, e := range r.kind("idle-close") {
				if e.Idle < r.header.Settings.IdleTimeout {
					t.Errorf("closed after %v", time.Duration(e.Idle))
				}
			}
			resets := 0
			if slices.Contains(tc.flags, "rst") {
				resets = 2
			}
			if n := len(r.kind("rst")); n != resets {
				t.Errorf("%d resets, want %d", n, resets)
			}
			if n := len(r.summary.Verdicts); n < 3 || n > 6 {
				t.Errorf("%d verdicts: %q", n, r.summary.Verdicts)
			}
			if t.Failed() {
				t.Log(res)
			}
		})
	}
}

// The test reads TCPKeepAlive itself, in the namespace that kax made, after
// the run.
func TestDemoAgainstTheKernelsCounter(t *testing.T) {
	t.Parallel()
	need.Root(t)
	for _, flags := range [][]string{
		{"--netns"},
		{"--netns", "--probe-from", "both"},
		{"--netns", "--no-keepalive"},
		{"--source", "userns", "--keepidle", "2s", "--pause", "2.5s"},
	} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			t.Parallel()
			run := start(t, kax(asIs, quick(flags...)...))
			run.until(t, `"header"`)
			network, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", child(t, run.cmd.Process.Pid)))
			if err != nil {
				t.Fatal(err)
			}
			defer network.Close()
			res := run.end(t)
			r := parse(t, res)
			count, err := counterIn(network)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(r.kind("probe")); n != count || *r.summary.KernelProbes != count {
				t.Errorf("%d probes on the timeline, %d by kax's count, %d by the kernel's\n%s", n, *r.summary.KernelProbes, count, res)
			}
		})
	}
}

func counterIn(network *os.File) (int, error) {
	var (
		n    int
		err  error
		done = make(chan struct{})
	)
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread is in another network now
		if err = unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err == nil {
			n, err = netns.Counter("TcpExt", "TCPKeepAlive")
		}
	}()
	<-done
	return n, err
}

func TestDemoStops(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	for _, tc := range []struct {
		name string
		mode string
		user bool
	}{
		{"af_packet", freshNet, false},
		{"userns", asIs, true},
		{"counters", bare, false},
	} {
		for _, how := range []struct {
			name  string
			sig   syscall.Signal
			group bool // as from a terminal, and from timeout(1)
		}{
			{"SIGINT", syscall.SIGINT, false},
			{"SIGINT to the group", syscall.SIGINT, true},
			{"SIGTERM", syscall.SIGTERM, false},
			{"SIGTERM to the group", syscall.SIGTERM, true},
			{"SIGHUP to the group", syscall.SIGHUP, true},
		} {
			t.Run(tc.name+" "+how.name, func(t *testing.T) {
				t.Parallel()
				args := []string{"demo", "--json", "--pause", "1m", "--idle-timeout", "2m"}
				file := ""
				if tc.mode != bare {
					file = sharedDir(t) + "/cut.pcapng"
					args = append(args, "-w", file)
				}
				cmd := kax(tc.mode, args...)
				if tc.user {
					cmd = ordinary(cmd)
				}
				cmd.SysProcAttr.Setpgid = true
				run := start(t, cmd)
				run.until(t, `"probe"`)
				pid := cmd.Process.Pid
				if how.group {
					pid = -pid
				}
				if err := syscall.Kill(pid, how.sig); err != nil {
					t.Fatal(err)
				}
				res := run.end(t)
				if res.code != 130 || !strings.Contains(res.stderr, "interrupted") {
					t.Errorf("stopped: %s", res)
				}
				r := parse(t, res)
				if n := r.summary.Requests; n != 3 {
					t.Errorf("%d requests before the signal", n)
				}
				if last := r.steps[len(r.steps)-1]; last.Name != "stop" {
					t.Errorf("the timeline does not say that the run was cut: %+v", last)
				}
				for _, c := range r.conns {
					if c.Close == timeline.NotYet {
						t.Errorf("#%d was left open", c.ID)
					}
				}
				if tc.name == "userns" {
					checkCount(t, r)
				}
				if file != "" {
					if n := packetsIn(t, file); n != r.summary.Packets {
						t.Errorf("%d packets in the file, %d on the timeline", n, r.summary.Packets)
					}
				}
			})
		}
	}
}

// A namespace of kax's own must not outlive it, however it ends.
func TestDemoEndsWithItsParent(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	// A run that would not end by itself while the test looks on.
	run := start(t, ordinary(kax(asIs, "demo", "--json", "--pause", "1h")))
	run.until(t, `"probe"`)
	inside := child(t, run.cmd.Process.Pid)
	fd, err := unix.PidfdOpen(inside, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := run.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 20_000)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n != 1 || err != nil {
			t.Errorf("the process inside lives on: %v", err)
			_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
		break
	}
	_ = run.end(t)
}

// Whoever reads a part of the output and goes leaves a complete file behind.
func TestDemoIntoAClosedPipe(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	file := sharedDir(t) + "/cut.pcapng"
	cmd := kax(freshNet, quick("-w", file)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), `"probe"`) {
	}
	out.Close()
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 || stderr.String() != "" {
		t.Errorf("%v, stderr %q", err, stderr.String())
	}
	if n := packetsIn(t, file); n < 20 {
		t.Errorf("%d packets in the file", n)
	}
}

// What others do with the server meanwhile is not the demo's story.
func TestDemoAmongOthers(t *testing.T) {
	t.Parallel()
	need.Root(t) // a second program has to get into the same namespace
	err := netns.Do(func() error {
		run := start(t, kax(asIs, quick("--listen", "0.0.0.0:3000")...))
		run.until(t, `"name":"keep"`)
		// This goroutine's thread is in the same network.
		c, err := net.Dial("tcp", "127.0.0.1:3000")
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return err
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			return err
		}
		r := parse(t, run.end(t))
		if got := r.header.Settings.Server; got != "127.0.0.1:3000" {
			t.Errorf("server %s", got)
		}
		checkStory(t, r, timeline.Client)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDemoFor(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	res := run(t, kax(freshNet, "demo", "--json", "--pause", "1m", "--idle-timeout", "2m", "--for", "3s"))
	if r := parse(t, res); res.code != 0 || r.summary.Requests != 3 {
		t.Error(res)
	}
}
