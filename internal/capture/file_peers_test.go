package capture_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kax/internal/capture"
	"kax/internal/need"
	"kax/internal/wire"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// captures are the public ones.
var captures = []string{
	"206_example_c.pcap", "docker-http-upgrade.pcap", "doh.pcapng", "example2.pcap", "http-pipelined-40.pcap", "null-http.pcap",
	"ocsp.pcapng", "one_tcp_stream.pcap", "pipelined-requests.pcap", "raw-http.pcap", "raw-ipv6-http.pcap", "redis-pubsub.pcap",
	"sll-http.pcap", "sll2-http.pcap", "smb_v2.pcap", "thrift.pcap", "vlan-collisions.pcap", "websocket.pcap",
}

// readFile returns the packets of a file, which must have a clean end.
func readFile(t *testing.T, name string) (*capture.File, []capture.Packet) {
	t.Helper()
	in, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	f, got, err := read(in)
	if err != io.EOF {
		t.Fatalf("%s: %v", name, err)
	}
	return f, got
}

// pcapgo reads the same packets.
func TestFileAgreesWithPcapgo(t *testing.T) {
	for _, name := range captures {
		t.Run(name, func(t *testing.T) {
			name := need.Capture(t, name)
			_, got := readFile(t, name)
			in, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			var from gopacket.PacketDataSource
			var link func(gopacket.CaptureInfo) layers.LinkType
			if strings.HasSuffix(name, "ng") {
				r, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true})
				if err != nil {
					t.Fatal(err)
				}
				from, link = r, func(info gopacket.CaptureInfo) layers.LinkType { return info.AncillaryData[0].(layers.LinkType) }
			} else {
				r, err := pcapgo.NewReader(in)
				if err != nil {
					t.Fatal(err)
				}
				from, link = r, func(gopacket.CaptureInfo) layers.LinkType { return r.LinkType() }
			}
			var want []capture.Packet
			for {
				data, info, err := from.ReadPacketData()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, capture.Packet{Time: info.Timestamp, Data: data, Length: info.Length, Interface: info.InterfaceIndex, Link: wire.Link(link(info))})
			}
			if len(want) == 0 {
				t.Error("no packets")
			}
			same(t, got, want)
		})
	}
}

// describe is a packet in the fields that tshark has of one.
func describe(f *capture.File, p capture.Packet) string {
	i := f.Interfaces()[p.Interface]
	id, name := fmt.Sprint(i.ID), i.Name
	if f.Format() == "pcap" {
		id, name = "", ""
	} else if name == "" {
		name = "unknown" // as tshark calls it
	}
	return fmt.Sprintf("%d.%09d|%d|%d|%s|%s", p.Time.Unix(), p.Time.Nanosecond(), len(p.Data), p.Length, id, name)
}

// tsharkLines is the same by tshark.
func tsharkLines(t *testing.T, tshark, name string) []string {
	t.Helper()
	out, err := exec.Command(tshark, "-n", "-r", name, "-T", "fields", "-E", "separator=|", "-e", "frame.time_epoch",
		"-e", "frame.cap_len", "-e", "frame.len", "-e", "frame.interface_id", "-e", "frame.interface_name").Output()
	if err != nil {
		t.Fatalf("tshark -r %s: %v", name, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// agrees compares a file by both, and returns its packets.
func agrees(t *testing.T, tshark, name string) []capture.Packet {
	t.Helper()
	f, got := readFile(t, name)
	want := tsharkLines(t, tshark, name)
	if len(got) != len(want) {
		t.Errorf("%d packets, tshark has %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if g := describe(f, got[i]); g != want[i] {
			t.Errorf("packet %d: %s, tshark has %s", i+1, g, want[i])
		}
	}
	return got
}

// Whatever Wireshark's own programs write is read as tshark reads it.
func TestFileAgreesWithTshark(t *testing.T) {
	tshark, editcap, mergecap := need.Tool(t, "tshark"), need.Tool(t, "editcap"), need.Tool(t, "mergecap")
	dir := t.TempDir()
	run := func(program string, args ...string) {
		t.Helper()
		if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v: %s", program, args, err, out)
		}
	}
	for _, name := range []string{"doh.pcapng", "sll-http.pcap"} {
		from := need.Capture(t, name)
		for _, format := range []string{"pcap", "nsecpcap", "modpcap", "pcapng"} {
			t.Run(name+" as "+format, func(t *testing.T) {
				t.Parallel()
				to := filepath.Join(dir, name+"."+format)
				run(editcap, "-F", format, from, to)
				got := agrees(t, tshark, to)
				_, before := readFile(t, from)
				for i := range min(len(got), len(before)) {
					got[i].Interface, before[i].Interface = 0, 0
				}
				same(t, got, before)
			})
		}
	}
	merged := filepath.Join(dir, "merged.pcapng")
	run(mergecap, "-w", merged, need.Capture(t, "sll-http.pcap"), need.Capture(t, "doh.pcapng"), need.Capture(t, "null-http.pcap"), need.Capture(t, "raw-http.pcap"))
	t.Run("merged", func(t *testing.T) {
		links := map[wire.Link]bool{}
		for _, p := range agrees(t, tshark, merged) {
			links[p.Link] = true
		}
		if len(links) != 4 {
			t.Errorf("link types %v", links)
		}
	})
	t.Run("sections", func(t *testing.T) {
		var both bytes.Buffer
		for _, name := range []string{merged, need.Capture(t, "doh.pcapng"), merged} {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			both.Write(b)
		}
		name := filepath.Join(dir, "sections.pcapng")
		if err := os.WriteFile(name, both.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		// tshark 4.0 takes the names of later sections' interfaces for unknown.
		f, got := readFile(t, name)
		want := tsharkLines(t, tshark, name)
		if len(got) != len(want) {
			t.Fatalf("%d packets, tshark has %d", len(got), len(want))
		}
		for i, line := range want {
			if g := describe(f, got[i]); nameless(g) != nameless(line) {
				t.Errorf("packet %d: %s, tshark has %s", i+1, g, line)
			}
		}
	})
}

func nameless(line string) string { return line[:strings.LastIndexByte(line, '|')] }
