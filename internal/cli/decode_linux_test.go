package cli

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"kax/internal/need"
)

func decoded(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	cmd := kax(asIs, append([]string{"decode"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	return run(t, cmd)
}

// single makes runs of spaces one.
func single(line string) string { return strings.Join(strings.Fields(line), " ") }

// The lines that were written down for a packet stand in what decode prints of
// it, word for word.
func TestDecodeSaysWhatIsExpected(t *testing.T) {
	t.Parallel()
	dump := need.Capture(t, "syn-null-loopback.hex")
	want, err := os.ReadFile(strings.TrimSuffix(dump, ".hex") + ".expected.txt")
	if err != nil {
		t.Fatal(err)
	}
	res := run(t, kax(asIs, "decode", dump))
	said := map[string]bool{}
	for line := range strings.Lines(res.stdout) {
		said[single(line)] = true
	}
	for line := range strings.Lines(string(want)) {
		if !said[single(line)] {
			t.Errorf("not there: %s", line)
		}
	}
	if !strings.Contains(single(res.stdout), "SYN: opens a connection to port 3000; offers MSS 16344, window scale 6, timestamps and SACK.") {
		t.Errorf("no meaning: %s", res)
	}
	if res.code != 0 || !strings.Contains(res.stderr, "taken for null") {
		t.Error(res)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	res := decoded(t, aSYN)
	for _, want := range []string{
		"0050 00 00 00 00 04 02 00 00 ........", "[null-----] [ipv6--", "ipv6------------------------------] [tcp-------",
		"Source Address: ::1", "Flags: 0x002 (SYN)", "SYN: opens a connection to port 9200; offers MSS 16324, window scale 5, timestamps and SACK.",
	} {
		if !strings.Contains(single(res.stdout), single(want)) {
			t.Errorf("no %q: %s", want, res)
		}
	}
	if same := decoded(t, aSYN, "-", "--link", "null"); same.stdout != res.stdout || same.stderr != "" {
		t.Errorf("with --link and -: %s", same)
	}
	if other := decoded(t, aSYN, "--link", "raw"); other.code != 0 || !strings.Contains(other.stdout, "Raw packet data") {
		t.Errorf("as raw: %s", other)
	}
}

// A record has every layer with its place in the frame, and its meaning.
func TestDecodeJSON(t *testing.T) {
	t.Parallel()
	res := decoded(t, aSYN, "--json")
	r := parseOpen(t, res)
	if len(r.packets) != 1 {
		t.Fatal(res)
	}
	p := r.packets[0]
	at := map[string]int{}
	for _, l := range p.Layers {
		at[l.Name] = l.Offset
	}
	if p.Number != 1 || p.Link != "null" || len(p.Frame) != 88 || at["ipv6"] != 4 || at["tcp"] != 44 || len(p.Meaning) != 1 {
		t.Errorf("%+v", p)
	}
	if raw := hex.EncodeToString(p.Frame); !strings.Contains(res.stdout, raw) {
		t.Errorf("the frame is not %s: %s", raw, res)
	}
}

// What tcpdump prints of a capture is read as the packets it is, and they
// explain each other.
func TestDecodeTcpdump(t *testing.T) {
	t.Parallel()
	tcpdump, path := need.Tool(t, "tcpdump"), need.Capture(t, "one_tcp_stream.pcap")
	for flag, link := range map[string]string{"-x": "raw", "-X": "raw", "-xx": "ethernet", "-XX": "ethernet"} {
		text, err := exec.Command(tcpdump, "-n", flag, "-r", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		res := decoded(t, string(text))
		if n := strings.Count(res.stdout, "\nFrame "); n != 36 || res.code != 0 {
			t.Errorf("%s: %d packets: %s", flag, n, res)
		}
		if want := "taken for " + link; strings.Count(res.stderr, "\n") != 1 || !strings.Contains(res.stderr, want) {
			t.Errorf("%s: no %q: %s", flag, want, res.stderr)
		}
		for _, want := range []string{"[Conversation completeness: Incomplete, DATA (15)]", "Looks like a keepalive probe: it carries a single byte"} {
			if !strings.Contains(single(res.stdout), want) {
				t.Errorf("%s: no %q", flag, want)
			}
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for stdin, want := range map[string]string{
		"":                              "standard input: no hex digits",
		"45 00\n45 0g":                  `standard input: line 2, column 4: "0g" where two hex digits are due`,
		"0000  45 00 00 00\n0010  01":   "standard input: line 2, column 1: offset 0x10, after 4 bytes",
		"0000000 457f 464c 0102 0001\n": "hexdump -C",
	} {
		res := decoded(t, stdin)
		if res.code != 1 || res.stdout != "" || !strings.HasPrefix(res.stderr, "kax: ") || !strings.Contains(res.stderr, want) || !strings.Contains(res.stderr, "\nhint: ") {
			t.Errorf("%q: want %q: %s", stdin, want, res)
		}
	}
	path := filepath.Join(t.TempDir(), "bad.txt")
	if err := os.WriteFile(path, []byte("zz"), 0o600); err != nil {
		t.Fatal(err)
	}
	if res := run(t, kax(asIs, "decode", path)); res.code != 1 || !strings.Contains(res.stderr, path+": line 1, column 1") {
		t.Error(res)
	}
	if res := run(t, kax(asIs, "decode", path+".not")); res.code != 1 || !strings.Contains(res.stderr, "no such file") {
		t.Error(res)
	}
}

// Escape sequences in a packet do not reach the terminal.
func TestDecodeEscapes(t *testing.T) {
	t.Parallel()
	payload := "GET /\x1b[31m\u202e HTTP/1.1\r\nHost: \x1b]0;evil\x07\x9b\r\n\r\n"
	frame := "45000000000040004006000001010101020202020bb80050000000010000000150180100" + "00000000" + hex.EncodeToString([]byte(payload))
	for _, args := range [][]string{nil, {"--json"}} {
		res := decoded(t, frame, args...)
		if res.code != 0 || !strings.Contains(res.stdout, "Hypertext Transfer Protocol") || !utf8.ValidString(res.stdout) || strings.ContainsAny(res.stdout, "\x1b\x07\u202e\u009b\r") {
			t.Errorf("%v: %q", args, res.stdout)
		}
	}
}
