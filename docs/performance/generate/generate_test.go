package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kax/internal/need"
)

// Wireshark sees the requests, responses and probes that are claimed, and no
// packet that is wrong.
func TestTsharkCounts(t *testing.T) {
	t.Parallel()
	tshark := need.Tool(t, "tshark")
	s := size{connections: 6, length: 2}
	for name, write := range map[string]func(string, size) (int, error){"pcap": writePcap, "pcapng": writePcapng} {
		file := filepath.Join(t.TempDir(), name)
		n, err := write(file, s)
		if err != nil {
			t.Fatal(err)
		}
		fields := []struct {
			name, value string // or any value
			want        int
		}{
			{"frame.number", "", n},
			{"tcp.analysis.keep_alive", "", s.probes()},
			{"tcp.analysis.keep_alive_ack", "", s.probes()},
			{"http.request.method", "", s.requests()},
			{"http.response.code", "200", s.requests()},
			{"tcp.connection.syn", "", s.connections},
			{"tcp.connection.fin", "", 2 * s.connections},
			{"tcp.checksum.status", "1", n},
			{"ip.checksum.status", "1", n},
			{"tcp.analysis.retransmission", "", 0},
			{"tcp.analysis.lost_segment", "", 0},
			{"_ws.malformed", "", 0},
		}
		args := []string{"-n", "-r", file, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-T", "fields"}
		for _, f := range fields {
			args = append(args, "-e", f.name)
		}
		out, err := exec.Command(tshark, args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]int, len(fields))
		for line := range strings.Lines(string(out)) {
			for i, value := range strings.Split(strings.TrimSuffix(line, "\n"), "\t") {
				if value != "" && (fields[i].value == "" || value == fields[i].value) {
					got[i]++
				}
			}
		}
		for i, f := range fields {
			if got[i] != f.want {
				t.Errorf("%s: %s %s: %d packets, want %d", name, f.name, f.value, got[i], f.want)
			}
		}
	}
}

// The same arguments give the same file.
func TestDeterministic(t *testing.T) {
	var files [2][]byte
	for i := range files {
		name := filepath.Join(t.TempDir(), "x")
		if _, err := writePcap(name, size{connections: 10, length: 1}); err != nil {
			t.Fatal(err)
		}
		var err error
		if files[i], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two files")
	}
}
