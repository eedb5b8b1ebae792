package hexdump_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kax/internal/hexdump"
	"kax/internal/need"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// packets have rows that repeat, rows of every length, and text that reads like
// digits.
func packets() [][]byte {
	head, err := hex.DecodeString("020000000002020000000001080045000000123440004006" + "0000c0000201c0000202" + "9c4000500000006400000000500213570000" + "0000")
	if err != nil {
		panic(err)
	}
	var all [][]byte
	for _, data := range []string{
		"", "x", "dead beef", "be", "ad be ef  00 11", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("a", 100), strings.Repeat("\x00", 200),
		"0123456789abcdef0123456789abcdef", "12345678", "  two  spaces  ", "|bars|", "cafe", "0010  11 22 33",
	} {
		f := append(slices.Clone(head), data...)
		f[17] = byte(len(f) - 14) // total length
		all = append(all, f)
	}
	return all
}

func read(t *testing.T, text string) [][]byte {
	t.Helper()
	got, err := hexdump.Read(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var out [][]byte
	for _, p := range got {
		out = append(out, p.Data)
	}
	return out
}

func equal(t *testing.T, text string, want ...[]byte) {
	t.Helper()
	got := read(t, text)
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("read %x\nwant %x\nof\n%s", got, want, text)
	}
}

func output(t *testing.T, stdin []byte, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(need.Tool(t, name), args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// What programs that print bytes make of each packet.
func TestReadsDumps(t *testing.T) {
	for _, tool := range []string{
		"xxd", "xxd -g 1", "xxd -u", "xxd -c 8", "xxd -c 32", "xxd -p", "xxd -i -c 8", "hexdump -C", "od -t x1", "od -A x -t x1", "od -A x -t x1z", "od -A d -t x1",
	} {
		t.Run(tool, func(t *testing.T) {
			words := strings.Fields(tool)
			for _, p := range packets() {
				equal(t, output(t, p, words[0], words[1:]...), p)
			}
		})
	}
}

// What programs that print packets make of all of them.
func TestReadsPackets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.pcap")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := pcapgo.NewWriterNanos(file)
	if err := w.WriteFileHeader(1<<16, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	var ip [][]byte
	for _, p := range packets() {
		if err := w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(p), Length: len(p)}, p); err != nil {
			t.Fatal(err)
		}
		ip = append(ip, p[14:])
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for tool, want := range map[string][][]byte{
		"tcpdump -n -x": ip, "tcpdump -n -X": ip, "tcpdump -n -v -X": ip, "tcpdump -n -xx": packets(), "tcpdump -n -e -XX": packets(), "tcpdump -n -q -t -XX": packets(),
		"tshark -x": packets(), "tshark -P -x": packets(), "tshark -V -x": packets(),
	} {
		t.Run(tool, func(t *testing.T) {
			words := append(strings.Fields(tool), "-r", path)
			equal(t, output(t, nil, words[0], words[1:]...), want...)
		})
	}
}

func TestReadsByHand(t *testing.T) {
	a, b := []byte{2, 0, 0, 0, 0x45, 0}, []byte{0x45, 0, 0, 0x34}
	for name, text := range map[string]string{
		"together":        "020000004500",
		"pairs":           "02 00 00 00 45 00",
		"fours":           "0200 0000 4500",
		"colons":          "02:00:00:00:45:00",
		"hyphens":         "02-00-00-00-45-00\n",
		"C":               "0x02, 0x00, 0x00, 0x00,\n0x45, 0x00",
		"words with 0x":   "0x02000000 0x4500",
		"escapes":         `\x02\x00\x00\x00\x45\x00`,
		"lines":           "02000000\r\n4500\r\n",
		"margin":          "\t  02 00 00\n\t  00 45 00\n\n",
		"after words":     "The packet:\n\n02 00 00 00 45 00",
		"offsets":         "0000 02 00 00 00\n0004 45 00",
		"one space":       "0000 02 00 00 00 45 00 ....E.",
		"half rows":       "0000  02 00 00 00 45 00   ....E.\n",
		"wireshark's own": "0000   02 00 00 00 45 00                                 ....E.",
		"upper case":      "0000  02 00 00 00 45 00",
	} {
		t.Run(name, func(t *testing.T) { equal(t, text, a) })
	}
	equal(t, "02 00 00 00 45 00\n\n45000034\n", a, b)
	equal(t, "0000 02 00 00 00 45 00\n0000 45 00 00 34\n", a, b)
	equal(t, "Frame (6 bytes):\n0000 02 00 00 00 45 00\nReassembled TCP (4 bytes):\n0000 45 00 00 34\n\nFrame (4 bytes):\n0000 45 00 00 34\n", a, b)
}

// A mistake is told by its place.
func TestReadRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, text   string
		line, column int
		problem      string
	}{
		{"no digit", "02 00 0g", 1, 7, `"0g"`},
		{"half a byte", "02 00 0", 1, 7, "half a byte"},
		{"in a second line", "02 00\n00 zz", 2, 4, "zz"},
		{"in a first line", "02 00 zz\n00 00", 1, 7, "zz"},
		{"a row is missing", "0000 02 00 00 00\n0010 45 00", 2, 1, "offset 0x10, after 4 bytes"},
		{"a first row is missing", "0x0010:  4500 0034", 1, 1, "offset 0x10, after 0 bytes"},
		{"no digit in a row", "0000  02 00 0z 00", 1, 13, "0z"},
		{"no digit in a later row", "0000  02 00 00 00\n0004  zz 00", 2, 7, "zz"},
		{"nothing after a star", "00000000  01 02 03 04 05 06 07 08  01 02 03 04 05 06 07 08\n*\n", 2, 1, "no offset"},
		{"text after a star", "00000000  01 02 03 04 05 06 07 08\n*\nthen\n", 3, 1, "must follow *"},
		{"far after a star", "00000000  01 02 03 04 05 06 07 08\n*\n7fffffff\n", 3, 1, "no more than"},
		{"words", "0000000 457f 464c 0102 0001\n", 1, 1, "hexdump -C"},
		{"prose", "Hello, world", 1, 1, "hex digits"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := hexdump.Read(strings.NewReader(tt.text))
			var e *hexdump.Error
			if !errors.As(err, &e) || e.Line != tt.line || e.Column != tt.column || !strings.Contains(e.Problem, tt.problem) {
				t.Errorf("%v, want line %d, column %d, %q", err, tt.line, tt.column, tt.problem)
			}
		})
	}
	if _, err := hexdump.Read(strings.NewReader(" \n\n")); !errors.Is(err, hexdump.ErrEmpty) {
		t.Errorf("nothing: %v", err)
	}
}

// Few characters cannot stand for many bytes.
func TestRepeatsAreBounded(t *testing.T) {
	text := strings.Repeat("00000000  00\n*\n00030000\n\n", 100)
	if _, err := hexdump.Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "repeated") {
		t.Errorf("%v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{
		"020000004500", "0000  02 00 00 00 45 00   ....E.\n", "00000000  00 00\n*\n00000020  01\n", "\t0x0000:  4500 0034 05c1  E..4\n",
		"00000000: 7f45 4c46  .ELF\n", "Frame (2 bytes):\n0000 02 00\nReassembled TCP (1 byte):\n0000 01\n", "0x02, 0x00", `\x02\x00`, "0000000 457f 464c\n", "02 0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := hexdump.Read(strings.NewReader(text))
		var e *hexdump.Error
		switch {
		case err == nil:
		case errors.As(err, &e):
			if e.Line < 1 || e.Column < 1 || e.Line > strings.Count(text, "\n")+1 {
				t.Errorf("%v: there is no such place", e)
			}
			return
		case errors.Is(err, hexdump.ErrEmpty):
			return
		default:
			t.Fatalf("unknown error %v", err)
		}
		total := 0
		for _, p := range got {
			if len(p.Data) == 0 || p.Line < 1 {
				t.Errorf("%d bytes at line %d", len(p.Data), p.Line)
			}
			total += len(p.Data)
		}
		if total > len(text)/2+1<<20 {
			t.Errorf("%d bytes out of %d characters", total, len(text))
		}
		// What has been read is read again from digits alone.
		var again strings.Builder
		for _, p := range got {
			again.WriteString(hex.EncodeToString(p.Data) + "\n\n")
		}
		if back, err := hexdump.Read(strings.NewReader(again.String())); err != nil || len(back) != len(got) {
			t.Errorf("%v: %d packets, and %d again", err, len(got), len(back))
		}
	})
}
