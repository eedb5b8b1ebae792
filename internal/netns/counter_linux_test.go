package netns

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

const netstat = `TcpExt: SyncookiesSent TCPKeepAlive TCPWinProbe
TcpExt: 5 17 0
IpExt: InNoRoutes TCPKeepAlive
IpExt: 1 99
`

func TestReadCounter(t *testing.T) {
	for _, tt := range []struct {
		name, text  string
		group, want string
		value       int
		err         string
	}{
		{"first", netstat, "TcpExt", "SyncookiesSent", 5, ""},
		{"middle", netstat, "TcpExt", "TCPKeepAlive", 17, ""},
		{"last and zero", netstat, "TcpExt", "TCPWinProbe", 0, ""},
		{"same name in another group", netstat, "IpExt", "TCPKeepAlive", 99, ""},
		{"no such counter", netstat, "TcpExt", "TCPKeep", 0, "no counter TCPKeep in TcpExt"},
		{"of another group", netstat, "IpExt", "TCPWinProbe", 0, "no counter TCPWinProbe in IpExt"},
		{"no such group", netstat, "MPTcpExt", "TCPKeepAlive", 0, "no counter TCPKeepAlive in MPTcpExt"},
		{"the group is no counter", netstat, "TcpExt", "TcpExt:", 0, "no counter TcpExt: in TcpExt"},
		{"empty", "", "TcpExt", "TCPKeepAlive", 0, "no counter TCPKeepAlive in TcpExt"},
		{"no values", "TcpExt: A B\n", "TcpExt", "A", 0, "no counter A in TcpExt"},
		{"a value is missing", "TcpExt: A B\nTcpExt: 1\n", "TcpExt", "B", 0, "no counter B in TcpExt"},
		{"values of another group", "TcpExt: A B\nIpExt: 1 2\n", "TcpExt", "A", 0, "no counter A in TcpExt"},
		{"no number", "TcpExt: A\nTcpExt: x\n", "TcpExt", "A", 0, `strconv.Atoi: parsing "x": invalid syntax`},
		{"blank lines", "\n\n" + netstat, "TcpExt", "TCPKeepAlive", 17, ""},
		{"line too long", "TcpExt: " + strings.Repeat("x", bufio.MaxScanTokenSize), "TcpExt", "x", 0, bufio.ErrTooLong.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readCounter(strings.NewReader(tt.text), tt.group, tt.want)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if got != tt.value || text != tt.err {
				t.Errorf("%d, error %q; want %d, error %q", got, text, tt.value, tt.err)
			}
		})
	}
}

func TestReadCounterPassesErrorsOn(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("TcpExt: A\n"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := readCounter(broken, "TcpExt", "A"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

func TestCounterNamesWhatIsMissing(t *testing.T) {
	_, err := Counter("TcpExt", "TCPKeepDead")
	const want = "read counter TCPKeepDead: no counter TCPKeepDead in TcpExt"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestCounterReadsTheKernel(t *testing.T) {
	if _, err := Counter("TcpExt", "TCPKeepAlive"); err != nil {
		t.Error(err)
	}
}

// What is found stands in the text as a word of its own, behind the group.
func FuzzReadCounter(f *testing.F) {
	f.Add(netstat, "TcpExt", "TCPKeepAlive")
	f.Add(netstat, "IpExt", "InNoRoutes")
	f.Add("TcpExt: A B\nTcpExt: 1\n", "TcpExt", "B")
	f.Add("TcpExt: A\nIpExt: 1\n", "TcpExt", "A")
	f.Add("TcpExt: A\nTcpExt: -1\r\n", "TcpExt", "A")
	f.Add(":\n: 1\n", "", "")
	f.Fuzz(func(t *testing.T, text, group, name string) {
		n, err := readCounter(strings.NewReader(text), group, name)
		if err != nil {
			if n != 0 && !errors.Is(err, strconv.ErrRange) {
				t.Errorf("%d with error %v", n, err)
			}
			return
		}
		words := strings.Fields(text)
		found := map[string]bool{}
		for _, w := range words {
			found[w] = true
			if v, err := strconv.Atoi(w); err == nil && v == n {
				found["value"] = true
			}
		}
		if !found["value"] || !found[name] || !found[group+":"] {
			t.Errorf("%d for %q in group %q of %q", n, name, group, words)
		}
	})
}
