// Package need skips tests for what a machine lacks, by name. With
// KAX_REQUIRE=all such a lack is a failure, so that no skip can hide one where
// everything should be there.
package need

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("KAX_REQUIRE") == "all" {
		t.Fatalf("KAX_REQUIRE=all: "+format, args...)
	}
	t.Skipf(format, args...)
}

// Root skips a test that only root can run.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "needs root")
	}
}

// Tool returns the path of a program that must be installed.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, "needs %s, which is not installed", name)
	}
	return path
}

// Capture returns the path of a public capture, in the folder that
// KAX_CAPTURES names.
func Capture(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("KAX_CAPTURES")
	if dir == "" {
		missing(t, "needs KAX_CAPTURES, the folder of the public captures")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Captures names the public captures.
func Captures() []string {
	return []string{
		"206_example_c.pcap", "docker-http-upgrade.pcap", "doh.pcapng", "example2.pcap", "http-pipelined-40.pcap",
		"null-http.pcap", "ocsp.pcapng", "one_tcp_stream.pcap", "pipelined-requests.pcap", "raw-http.pcap",
		"raw-ipv6-http.pcap", "redis-pubsub.pcap", "sll-http.pcap", "sll2-http.pcap", "smb_v2.pcap", "thrift.pcap",
		"vlan-collisions.pcap", "websocket.pcap",
	}
}

// Table reads what tshark says of a capture's TCP packets: a row each, by the
// names of the columns. It stands beside the capture.
func Table(t testing.TB, capture string) (rows []map[string]string) {
	t.Helper()
	text, err := os.ReadFile(capture + ".tshark.tsv")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	names := strings.Split(lines[0], "\t")
	for _, want := range []string{"frame", "seq", "ack", "len", "flags", "keep_alive", "keep_alive_ack", "retransmission", "http_method", "http_status"} {
		if !slices.Contains(names, want) {
			t.Fatalf("%s.tshark.tsv has no column %s", capture, want)
		}
	}
	for _, line := range lines[1:] {
		row := make(map[string]string, len(names))
		for i, value := range strings.Split(line, "\t") {
			row[names[i]] = value
		}
		rows = append(rows, row)
	}
	return rows
}

// Permission skips a test for want of a permission that err tells of.
func Permission(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		missing(t, "needs leave to %s: %v", what, err)
	}
}
