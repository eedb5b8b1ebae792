package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"kax/internal/timeline"
)

// demoMade says that there is a demoFile to take away.
var demoMade bool

// demoFile is what a demo has written of itself: once for all tests.
var demoFile = sync.OnceValues(func() (demo struct{ file, json string }, err error) {
	dir, err := os.MkdirTemp("", "kax-test-")
	if err != nil {
		return demo, err
	}
	demoMade = true
	demo.file = filepath.Join(dir, "demo.pcapng")
	cmd := kax(freshNet, "demo", "--pause", "1.2s", "--idle-timeout", "2500ms", "--json", "-w", demo.file)
	out, err := cmd.Output()
	demo.json = string(out)
	return demo, err
})

// recorded returns the demo's file and its records.
func recorded(t *testing.T) (file string, r records) {
	t.Helper()
	needNamespaces(t)
	demo, err := demoFile()
	if err != nil {
		t.Fatal(err)
	}
	return demo.file, parse(t, result{stdout: demo.json})
}

// facts are what events have in common, however they became known.
func facts(events []*timeline.Event) []string {
	var lines []string
	for _, e := range events {
		line := fmt.Sprintf("#%d packet %d %s %s nth %d", e.Conn, e.Packet, e.Side, e.Kind, e.Nth)
		if e.Request != nil {
			line += fmt.Sprintf(" %s %s reused %v", e.Method, e.Target, e.Reused)
		}
		if e.Response != nil {
			line += fmt.Sprintf(" %d", e.Status)
		}
		if e.Message != nil {
			line += fmt.Sprintf(" %s %q %q", e.Version, e.Connection, e.KeepAlive)
		}
		lines = append(lines, line)
	}
	return lines
}

// What a capture shows of HTTP is what client and server have told of it, packet
// by packet, and TCP's lane is the same.
func TestReadAgreesWithTheRun(t *testing.T) {
	t.Parallel()
	file, told := recorded(t)
	got := parse(t, run(t, kax(asIs, "read", "--json", file)))
	want := facts(told.events)
	if have := facts(got.events); !slices.Equal(have, want) {
		t.Errorf("read:\n%s\ntold:\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	if got.header.Source != timeline.File || got.header.Settings.File != file || got.header.Command != "read" {
		t.Errorf("header %+v", got.header)
	}
	if got.summary.Events["probe"] == 0 || got.summary.Events["idle-close"] != 1 {
		t.Errorf("summary %+v", got.summary)
	}
}

// The same bytes are the same records from a file, compressed, and from a pipe;
// and records are the same view as the capture.
func TestReadTheSame(t *testing.T) {
	t.Parallel()
	file, _ := recorded(t)
	afterHeader := func(out string) string {
		_, rest, _ := strings.Cut(out, "\n")
		return rest
	}
	want := run(t, kax(asIs, "read", "--json", file))
	if want.code != 0 {
		t.Fatal(want)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	zipped := filepath.Join(dir, "demo.pcapng.gz")
	if out, err := exec.Command("sh", "-c", "gzip -c < '"+file+"' > '"+zipped+"'").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := run(t, kax(asIs, "read", "--json", zipped)); afterHeader(got.stdout) != afterHeader(want.stdout) {
		t.Errorf("gzip:\n%s\nwant:\n%s", got, want)
	}
	piped := kax(asIs, "read", "--json", "-")
	piped.Stdin = strings.NewReader(string(data)) // through a pipe, as it is no file
	if got := run(t, piped); afterHeader(got.stdout) != afterHeader(want.stdout) || !strings.Contains(got.stdout, `"source":"pipe"`) {
		t.Errorf("pipe:\n%s\nwant:\n%s", got, want)
	}
	saved := filepath.Join(dir, "demo.jsonl")
	if err := os.WriteFile(saved, []byte(want.stdout), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, view := range []string{"--json", "--list", "--summary", "--color=never", "--only=probe,request"} {
		if a, b := run(t, kax(asIs, "read", view, file)), run(t, kax(asIs, "read", view, saved)); a != b {
			t.Errorf("%s: the capture:\n%s\nits records:\n%s", view, a, b)
		}
	}
}

// While a capture grows each packet is shown at once, and ^C ends it well.
func TestReadGrowing(t *testing.T) {
	t.Parallel()
	file, _ := recorded(t)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := kax(asIs, "read", "-", "--list")
	cmd.Stdin = in
	r := start(t, cmd)
	in.Close()
	if _, err := out.Write(data[:len(data)/2]); err != nil {
		t.Fatal(err)
	}
	r.until(t, "SYN")
	r.until(t, "GET /close")
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if res := r.end(t); res.code != 0 || !strings.Contains(res.stdout, "handshake") {
		t.Error(res)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	file, _ := recorded(t)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	save := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	usb := append([]byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\xbd\x00\x00\x00"), make([]byte, 16)...)
	for _, tt := range []struct {
		name   string
		args   []string
		code   int
		stderr string
		stdout string
	}{
		{"cut", []string{save("cut.pcapng", data[:len(data)*3/4])}, 1, "cut.pcapng", "handshake"},
		{"empty", []string{save("empty.pcap", nil)}, 1, "empty.pcap", ""},
		{"something else", []string{save("text", []byte("hello, world\n"))}, 1, "text", ""},
		{"records of a later kax", []string{save("later.jsonl", []byte("{\"header\":{\"schema\":2}}\n"))}, 1, "later.jsonl, line 1: records of schema 2", ""},
		{"nothing known", []string{save("empty.jsonl", []byte("{}\n"))}, 1, "empty.jsonl: no records", ""},
		{"no record", []string{save("bad.jsonl", []byte("{\"header\":{\"schema\":1}}\n{\"event\":[]}\n"))}, 1, "bad.jsonl, line 2", "kax"},
		{"another link type", []string{save("usb.pcap", usb)}, 4, "link type 189", "0 connections"},
		{"no such connection", []string{file, "--conn", "9"}, 1, "--conn 9", "connections"},
		{"no such file", []string{filepath.Join(dir, "none.pcap")}, 1, "none.pcap: no such file", ""},
		{"no file", nil, 2, "FILE", ""},
		{"json and list", []string{file, "--json", "--list"}, 2, "--json and --list", ""},
		{"no such packet", []string{file, "--packet", "999"}, 1, "--packet 999", ""},
		{"packet and list", []string{file, "--packet", "1", "--list"}, 2, "--packet", ""},
		{"a packet of records", []string{save("r.jsonl", []byte("{\"header\":{\"schema\":1}}\n")), "--packet", "1"}, 1, "r.jsonl", ""},
		{"no number", []string{file, "--conn", "0"}, 2, "--conn", ""},
		{"no port", []string{file, "--port", "65536"}, 2, "\"65536\" for \"--port\" flag: must be a port", ""},
		{"a port in records", []string{save("p.jsonl", []byte("{\"header\":{\"schema\":1}}\n")), "--port", "80"}, 1, "p.jsonl has records", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := run(t, kax(asIs, append([]string{"read"}, tt.args...)...))
			if res.code != tt.code || !strings.Contains(res.stderr, tt.stderr) || !strings.Contains(res.stdout, tt.stdout) {
				t.Errorf("%s\nwant code %d, %q, %q", res, tt.code, tt.stderr, tt.stdout)
			}
		})
	}
}

// --conn, --host, --port and -c show a part, with the same numbers of packets.
func TestReadPart(t *testing.T) {
	t.Parallel()
	file, told := recorded(t)
	got := parse(t, run(t, kax(asIs, "read", "--json", "--conn", "3", file)))
	if len(got.conns) != 1 || got.conns[0].ID != 3 || got.summary.Connections != 3 {
		t.Errorf("conns %+v, summary %+v", got.conns, got.summary)
	}
	for _, e := range got.events {
		if e.Conn != 3 {
			t.Errorf("%+v", e)
		}
	}
	port := fmt.Sprint(got.conns[0].Client.Port())
	for _, args := range [][]string{{"--port", port}, {"--port", port, "--host", "127.0.0.1"}, {"--host", "192.0.2.1,127.0.0.1", "--port", "1," + port}} {
		one := parse(t, run(t, kax(asIs, append([]string{"read", "--json", file}, args...)...)))
		if len(one.conns) != 1 || one.conns[0].Client != got.conns[0].Client || len(one.events) != len(got.events) || one.events[0].Packet != got.events[0].Packet {
			t.Errorf("%q: conns %+v, %d events, want %d", args, one.conns, len(one.events), len(got.events))
		}
	}
	if none := parse(t, run(t, kax(asIs, "read", "--json", file, "--port", port, "--host", "192.0.2.1"))); none.summary.Connections != 0 {
		t.Errorf("at another host: %+v", none.summary)
	}
	got = parse(t, run(t, kax(asIs, "read", "--json", "-c", "10", file)))
	if n := got.events[len(got.events)-1].Packet; n != 10 || got.summary.Packets != 10 {
		t.Errorf("ends with packet %d, summary %+v", n, got.summary)
	}
	if got.events[0].Packet != told.events[0].Packet {
		t.Errorf("begins with packet %d", got.events[0].Packet)
	}
}

// A single packet is taken apart with what its connection tells of it.
func TestReadPacket(t *testing.T) {
	t.Parallel()
	file, told := recorded(t)
	probe := told.kind("probe")[0]
	res := run(t, kax(asIs, "read", file, "--packet", fmt.Sprint(probe.Packet)))
	for _, want := range []string{
		fmt.Sprintf("Frame %d: 66 bytes on wire", probe.Packet), "[Stream index: 2]", "Complete, WITH_DATA (31)",
		"Flags: 0x010 (ACK)", "Keepalive probe 1 of the client on connection #3",
	} {
		if !strings.Contains(strings.Join(strings.Fields(res.stdout), " "), want) {
			t.Errorf("no %q", want)
		}
	}
	if res.code != 0 || t.Failed() {
		t.Error(res)
	}
}
