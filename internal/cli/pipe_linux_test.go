package cli

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kax/internal/need"
	"kax/internal/timeline"
)

// tcpdumpOn is a tcpdump that kax reads from. There is no other user than root
// that it could become (-Z).
func tcpdumpOn(t *testing.T, port uint16, more ...string) *exec.Cmd {
	t.Helper()
	args := slices.Concat([]string{"-i", "lo", "-U", "-w", "-", "-Z", "root"}, more, []string{fmt.Sprintf("tcp port %d", port)})
	return exec.Command(need.Tool(t, "tcpdump"), args...)
}

// dumpcapOn is the same of Wireshark's, which writes pcapng, or pcap with -P.
func dumpcapOn(t *testing.T, port uint16, more ...string) *exec.Cmd {
	t.Helper()
	args := slices.Concat([]string{"-q", "-i", "lo", "-w", "-"}, more, []string{"-f", fmt.Sprintf("tcp port %d", port)})
	return exec.Command(need.Tool(t, "dumpcap"), args...)
}

// What another program captures is the same timeline. Both start at once, as
// in a pipeline of the shell: kax waits until the other captures.
func TestDialBesideACapture(t *testing.T) {
	t.Parallel()
	need.Tool(t, "tcpdump")
	need.Tool(t, "dumpcap")
	for _, tc := range []struct {
		name    string
		capture func(*testing.T, uint16, ...string) *exec.Cmd
		more    []string
	}{
		{"tcpdump", tcpdumpOn, nil},
		{"tcpdump at once", tcpdumpOn, []string{"--immediate-mode"}},
		{"dumpcap", dumpcapOn, nil},
		{"dumpcap, pcap", dumpcapOn, []string{"-P"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(tc.name, "tcpdump") {
				tcpdumpRoot(t)
			}
			if !inside(t) {
				return
			}
			peer := newPeer(t, "127.0.0.1:0")
			dump := tc.capture(t, peer.port, tc.more...)
			cmd := kax(noRawAs, slices.Concat([]string{"tcp", "dial", peer.addr, "--packets", "-", "--json"}, withKeepalive(1, 1, 2, 0))...)
			pipe(t, dump, cmd)
			run := start(t, cmd)
			peer.accept(t)
			run.until(t, `"probe-answer"`)
			drop(t, peer.port)
			r := parse(t, run.end(t))
			// kax waits for a capture that may be late, and meanwhile the next
			// one or two are answered.
			answered := r.summary.Answered
			checkProbes(t, r, answered+2)
			if r.header.Source != timeline.Pipe || answered < 1 || answered > 4 || r.summary.Events["established"] != 1 {
				t.Errorf("source %s, summary %+v", r.header.Source, r.summary)
			}
			if len(r.deaths) != 1 || r.deaths[0].Errno != "ETIMEDOUT" || r.deaths[0].Unanswered != 2 {
				t.Errorf("deaths %+v", r.deaths)
			}
			if t.Failed() {
				t.Log(run.stdout.String(), run.stderr.String())
			}
		})
	}
}

// demo's packets may come from a tcpdump too: every probe that the kernel counts
// is there, and every message has its packet.
func TestDemoBesideACapture(t *testing.T) {
	t.Parallel()
	need.Tool(t, "tcpdump")
	tcpdumpRoot(t)
	if !inside(t) {
		return
	}
	before := kernelProbes(t)
	cmd := kax(noRawAs, "demo", "--packets", "-", "--json", "--pause", "1.2s", "--idle-timeout", "2500ms")
	pipe(t, tcpdumpOn(t, 3000), cmd)
	r := parse(t, run(t, cmd))
	if n := kernelProbes(t) - before; n == 0 || r.summary.Events["probe"] != n || r.summary.Answered != n {
		t.Errorf("the kernel has sent %d probes; summary %+v", n, r.summary)
	}
	if r.header.Source != timeline.Pipe || r.summary.Requests != 5 {
		t.Errorf("header %+v, summary %+v", r.header, r.summary)
	}
	for _, e := range r.events {
		if e.Packet == 0 || e.Note != "" {
			t.Errorf("%+v", e)
		}
	}
}

// tcpdumpRoot skips a test of tcpdump where it cannot stay root: that takes root
// outside.
func tcpdumpRoot(t *testing.T) {
	t.Helper()
	if os.Getenv(envInside) == "" {
		need.Root(t)
	}
}

// pipe starts a program whose output cmd reads.
func pipe(t *testing.T, from, cmd *exec.Cmd) {
	t.Helper()
	out, err := from.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	from.Stderr = &stderr
	if err := from.Start(); err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = out
	t.Cleanup(func() {
		_ = from.Process.Kill()
		_ = from.Wait()
		if t.Failed() {
			t.Log(stderr.String())
		}
	})
}

// A capture that ends before the connection does is a failure of the run. What
// came is shown.
func TestDialWhoseCaptureEnds(t *testing.T) {
	t.Parallel()
	need.Tool(t, "tcpdump")
	tcpdumpRoot(t)
	if !inside(t) {
		return
	}
	peer := newPeer(t, "127.0.0.1:0")
	cmd := kax(noRawAs, slices.Concat([]string{"tcp", "dial", peer.addr, "--packets", "-", "--json"}, withKeepalive(1, 1, 5, 0))...)
	pipe(t, tcpdumpOn(t, peer.port, "-c", "5"), cmd) // the handshake, a probe and its answer
	run := start(t, cmd)
	peer.accept(t)
	res := run.end(t)
	if res.code != exitFailed || !strings.Contains(res.stderr, "the packets have ended") {
		t.Error(res)
	}
	r := parse(t, res)
	if r.summary.Packets != 5 || r.summary.Answered != 1 || r.summary.Events["established"] != 1 {
		t.Error(res)
	}
}

// What is no capture, or of frames that nobody here can read, is refused before anything is opened,
// with the name of the input and the reason.
func TestDialWithoutACapture(t *testing.T) {
	t.Parallel()
	pcap := func(link byte) string {
		return "\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00" + string([]byte{link, 0, 0, 0})
	}
	for _, tc := range []struct {
		name, input string
		code        int
		want        string
	}{
		{"nothing", "", exitFailed, "unexpected EOF"},
		{"a broken header", pcap(1)[:10], exitFailed, "unexpected EOF"},
		{"text", "this is no capture\n", exitFailed, "neither pcap nor pcapng"},
		{"USB", pcap(189), exitUnable, "link type 189"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if !inside(t) {
				return
			}
			peer := newPeer(t, "127.0.0.1:0")
			cmd := kax(asIs, "tcp", "dial", peer.addr, "--packets", "-")
			cmd.Stdin = strings.NewReader(tc.input)
			res := run(t, cmd)
			if res.code != tc.code || !strings.Contains(res.stderr, tc.want) || !strings.HasPrefix(res.stderr, "kax: standard input: ") {
				t.Errorf("want exit code %d and %q: %s", tc.code, tc.want, res)
			}
			if err := peer.SetDeadline(time.Now()); err != nil {
				t.Fatal(err)
			}
			if c, err := peer.Accept(); err == nil {
				c.Close()
				t.Errorf("kax has connected: %s", res)
			}
		})
	}
}

// A capture that never begins is waited for, as long as there is time.
func TestDialWaitingForACapture(t *testing.T) {
	t.Parallel()
	silent, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	cmd := kax(asIs, "tcp", "dial", "127.0.0.1:1", "--packets", "-", "--for", "1.2s")
	cmd.Stdin = silent
	res := run(t, cmd)
	if res.code != exitFailed || !strings.Contains(res.stderr, "waiting for standard input") ||
		!strings.Contains(res.stderr, "standard input: no capture has begun") {
		t.Error(res)
	}
}

// What a tcpdump beside it captures carries the requests: each message stands at
// the packet that the tcpdump saw.
func TestRequestBesideACapture(t *testing.T) {
	t.Parallel()
	need.Tool(t, "tcpdump")
	tcpdumpRoot(t)
	if !inside(t) {
		return
	}
	server := startServer(t)
	u, err := url.Parse(server.url)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	cmd := kax(noRawAs, "http", "request", server.url+"/keep", server.url+"/close", "--requests", "3", "--pause", "1.3",
		"--keepidle", "1", "--packets", "-", "--json")
	pipe(t, tcpdumpOn(t, uint16(port)), cmd)
	res := run(t, cmd)
	rec := parse(t, res)
	if got, want := whys(rec.asked), []string{"first", "", "server-close"}; res.code != exitOK ||
		rec.header.Source != timeline.Pipe || rec.summary.Dropped != 0 || len(rec.conns) != 2 || !slices.Equal(got, want) {
		t.Errorf("%q, want %q: %s", got, want, res)
	}
	if len(rec.kind("probe")) == 0 {
		t.Errorf("no probe in a pause of 1.3 s: %s", res)
	}
	checkMessages(t, rec, 3, res)
}

// The other program may write a FIFO, or a file that grows.
func TestPacketsFromAFile(t *testing.T) {
	t.Parallel()
	need.Tool(t, "tcpdump")
	for _, kind := range []string{"FIFO", "file"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			tcpdumpRoot(t)
			if !inside(t) {
				return
			}
			p := newPeer(t, "127.0.0.1:0")
			serve(t, p)
			file := filepath.Join(t.TempDir(), "packets")
			if kind == "FIFO" {
				if err := unix.Mkfifo(file, 0o600); err != nil {
					t.Fatal(err)
				}
			} else if err := os.WriteFile(file, nil, 0o600); err != nil { // before tcpdump begins
				t.Fatal(err)
			}
			dump := exec.Command("tcpdump", "-i", "lo", "-U", "-w", file, "-Z", "root", fmt.Sprintf("tcp port %d", p.port))
			if err := dump.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = dump.Process.Kill()
				_ = dump.Wait()
			})
			res := run(t, kax(noRawAs, "http", "request", "http://"+p.addr+"/", "--requests", "2", "--packets", file, "--json"))
			if r := parse(t, res); res.code != 0 || r.header.Source != timeline.Pipe || r.summary.Requests != 2 || r.summary.Packets < 10 {
				t.Error(res)
			}
		})
	}
}
