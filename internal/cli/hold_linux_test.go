package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kax/internal/timeline"
)

// Each of several connections is held against the plan, and all of them end
// with the run.
func TestDialSeveralConnections(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	peer := newPeer(t, "127.0.0.1:0")
	run := start(t, kax(asIs, slices.Concat([]string{"tcp", "dial", peer.addr, "--connections", "3", "--json"}, withKeepalive(1, 1, 3, 0))...))
	for range 3 {
		peer.accept(t)
	}
	for range 6 {
		run.until(t, `"probe-answer"`)
	}
	r := interrupt(t, run)
	checkProbes(t, r, 6)
	if len(r.conns) != 3 {
		t.Fatalf("%d connections", len(r.conns))
	}
	for _, c := range r.conns {
		if c.Probes != 2 || c.Answered != 2 || c.Close != timeline.ByFIN || c.ClosedBy != timeline.Client {
			t.Errorf("conn %+v", c)
		}
	}
}

// The run's time is over: no failure, and every packet is in the file.
func TestDialForAWhile(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	peer := newPeer(t, "127.0.0.1:0")
	file := t.TempDir() + "/held.pcapng"
	run := start(t, kax(asIs, slices.Concat([]string{"tcp", "dial", peer.addr, "--for", "1.5s", "-w", file, "--json"}, withKeepalive(1, 1, 3, 0))...))
	peer.accept(t).Close() // kax closes too, but holds on to the rest
	res := run.end(t)
	if r := parse(t, res); res.code != 0 || len(r.deaths) != 1 || packetsIn(t, file) != r.summary.Packets {
		t.Errorf("a peer that closes: %s", res)
	}

	begin := time.Now()
	run = start(t, kax(asIs, slices.Concat([]string{"tcp", "dial", peer.addr, "--for", "1.5s", "-w", file, "--json"}, withKeepalive(1, 1, 3, 0))...))
	peer.accept(t)
	res = run.end(t)
	r := parse(t, res)
	checkProbes(t, r, 1)
	if res.code != 0 || res.stderr != "" || time.Since(begin) < 1500*time.Millisecond || len(r.deaths) != 0 {
		t.Errorf("exit code %d after %v: %s", res.code, time.Since(begin), res)
	}
	if last := r.steps[len(r.steps)-1]; last.Name != "stop" {
		t.Errorf("the last step is %+v", last)
	}
	// Three of the handshake, a probe and its answer, and both goodbyes.
	if n := packetsIn(t, file); n != r.summary.Packets || n < 6 {
		t.Errorf("%d packets in the file, %d on the timeline", n, r.summary.Packets)
	}
}

// Keepalive off: nothing is sent, and it is said that nothing will be.
func TestDialWithoutKeepalive(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, mode string) {
		setSysctls(t, 1, 1, 1)
		peer := newPeer(t, "127.0.0.1:0")
		run := start(t, kax(mode, "tcp", "dial", peer.addr, "--no-keepalive", "--for", "1.5s", "--json"))
		peer.accept(t)
		res := run.end(t)
		r := parse(t, res)
		checkProbes(t, r, 0)
		if res.code != 0 || r.plan == nil || r.plan.First != nil || r.header.Settings.ClientTCP.Effective.Keepalive ||
			!slices.Contains(r.summary.Verdicts, "No probe was sent: TCP keepalive was off at this end, and the other sent none.") {
			t.Error(res)
		}
	})
}

// Settings that are not asked for are the namespace's: probes come by them.
func TestDialWithTheSystemsSettings(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	setSysctls(t, 1, 2, 3)
	peer := newPeer(t, "127.0.0.1:0")
	run := start(t, kax(asIs, "tcp", "dial", peer.addr, "--json"))
	peer.accept(t)
	run.until(t, `"probe-answer"`)
	r := interrupt(t, run)
	checkProbes(t, r, 1)
	want := timeline.KeepaliveOptions{Keepalive: true, Idle: timeline.Seconds(time.Second), Interval: timeline.Seconds(2 * time.Second), Count: 3}
	if k := r.header.Settings.ClientTCP; k.Effective != want || k.Asked != (timeline.KeepaliveOptions{Keepalive: true}) || r.plan.Keepalive != k {
		t.Errorf("settings %+v, plan %+v", k, r.plan.Keepalive)
	}
}

// setSysctls sets what new sockets of this namespace have.
func setSysctls(t *testing.T, idle, interval, count int) {
	t.Helper()
	for name, v := range map[string]int{"time": idle, "intvl": interval, "probes": count} {
		if err := os.WriteFile("/proc/sys/net/ipv4/tcp_keepalive_"+name, fmt.Append(nil, v), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// As text: what was asked and read back, the prediction, the probes with their
// error against it, and the death.
func TestDialAsText(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	peer := newPeer(t, "127.0.0.1:0")
	for _, view := range []string{"--color=auto", "--list", "--summary"} {
		run := start(t, kax(asIs, append(withKeepalive(1, 1, 1, 0), "tcp", "dial", peer.addr, view)...))
		peer.accept(t)
		lift := drop(t, peer.port)
		res := run.end(t)
		lift()
		if res.code != 0 || res.stderr != "" || strings.Contains(res.stdout, "\x1b") || strings.Contains(res.stdout, "HTTP") {
			t.Error(res)
		}
		wants := []string{"kax tcp dial", "1 probe unanswered, as planned"}
		if view != "--summary" {
			wants = append(wants, "probe 1", "ETIMEDOUT", "then end of file", "writes: EPIPE", "IN|ERR|HUP|RDHUP", "the kernel reads back the same", "given up")
		}
		for _, want := range wants {
			if !strings.Contains(strings.Join(strings.Fields(res.stdout), " "), want) {
				t.Errorf("%s: no %q: %s", view, want, res)
			}
		}
		for line := range strings.Lines(res.stdout) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 && view != "--list" {
				t.Errorf("%s: %d columns: %s", view, n, line)
			}
		}
	}
}

// Nothing is opened where the packets cannot be had.
func TestDialOnNoInterface(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	peer := newPeer(t, "127.0.0.1:0")
	res := run(t, kax(asIs, "tcp", "dial", peer.addr, "--interface", "nope"))
	if res.code != exitFailed || !strings.HasPrefix(res.stderr, "kax: --interface nope: no such interface\nhint: this machine has lo") || res.stdout != "" {
		t.Error(res)
	}
	res = run(t, kax(noRawAs, "tcp", "dial", peer.addr, "--source", "af_packet"))
	if res.code != exitUnable || !strings.Contains(res.stderr, "operation not permitted") || !strings.Contains(res.stderr, "hint: ") {
		t.Error(res)
	}
	res = run(t, kax(noRawAs, "tcp", "dial", peer.addr, "-w", t.TempDir()+"/x.pcapng"))
	if res.code != exitUnable || !strings.Contains(res.stderr, "--write needs packets") {
		t.Error(res)
	}
	if err := peer.SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if c, err := peer.Accept(); err == nil {
		c.Close()
		t.Error("kax has connected")
	}
}

// A peer that does not even answer the handshake: kax says that it waits, and
// ends when it is told to.
func TestDialToNobody(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"^C", "--for"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			if !inside(t) {
				return
			}
			peer := newPeer(t, "127.0.0.1:0")
			drop(t, peer.port)
			args := []string{"tcp", "dial", peer.addr}
			if how == "--for" {
				args = append(args, "--for", "1.2s")
			}
			cmd := kax(asIs, args...)
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 1<<10)
			n, err := stderr.Read(b)
			if err != nil || !strings.Contains(string(b[:n]), "kax: connecting to "+peer.addr) {
				t.Errorf("%v: %s", err, b[:n])
			}
			if how == "^C" {
				if err := cmd.Process.Signal(os.Interrupt); err != nil {
					t.Fatal(err)
				}
			}
			n, _ = stderr.Read(b)
			_ = cmd.Wait()
			code, said := cmd.ProcessState.ExitCode(), string(b[:n])
			if how == "^C" && (code != 0 || said != "") || how == "--for" && (code != exitFailed || !strings.Contains(said, "i/o timeout")) {
				t.Errorf("exit code %d: %s", code, said)
			}
		})
	}
}

// The command that --tcpdump prints looks where the packets pass.
func TestHoldTcpdump(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"dial 127.0.0.1:80":            "tcpdump -i lo -n 'tcp port 80 and host 127.0.0.1'\n",
		"dial [::1]:80":                "tcpdump -i lo -n 'tcp port 80 and host ::1'\n",
		"dial localhost:http":          "tcpdump -i lo -n 'tcp port http'\n",
		"dial 192.0.2.1:80":            "tcpdump -i any -n 'tcp port 80 and host 192.0.2.1'\n", // no route
		"dial 192.0.2.1:80 -i eth7":    "tcpdump -i eth7 -n 'tcp port 80 and host 192.0.2.1'\n",
		"listen":                       "tcpdump -i lo -n 'tcp port 3000 and host 127.0.0.1'\n",
		"listen 0.0.0.0:80":            "tcpdump -i any -n 'tcp port 80'\n",
		"listen 192.0.2.1:80":          "tcpdump -i any -n 'tcp port 80 and host 192.0.2.1'\n",
		"listen [::]:80 --interface x": "tcpdump -i x -n 'tcp port 80'\n",
	} {
		res := run(t, kax(freshNet, append([]string{"tcp"}, strings.Fields(args+" --tcpdump")...)...))
		// On any a packet may pass several interfaces.
		if said := strings.Contains(res.stderr, "kax shows it once"); res.code != 0 || res.stdout != want || said != strings.Contains(want, "-i any") || !said && res.stderr != "" {
			t.Errorf("%s: want %q: %s", args, want, res)
		}
	}
}

func TestListenOnATakenPort(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	peer := newPeer(t, "127.0.0.1:0")
	res := run(t, kax(asIs, "tcp", "listen", peer.addr))
	if res.code != exitFailed || !strings.Contains(res.stderr, peer.addr) || !strings.Contains(res.stderr, "hint: something listens there") {
		t.Error(res)
	}
}
