package tcpka_test

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"maps"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"kax/internal/need"
	"kax/internal/wire"
	"kax/tcpka"

	"github.com/gopacket/gopacket/pcapgo"
)

// What tshark 4.0.17 flags as Keep-Alive in public captures, beside each in
// NAME.tshark.tsv. differ lists the frames where Flow says otherwise.
func TestProbesAgreeWithTshark(t *testing.T) {
	for _, tt := range []struct {
		name   string
		probes int // by Flow's count
		differ map[int]tcpka.Kind
	}{
		{name: "206_example_c.pcap"},
		{name: "docker-http-upgrade.pcap", probes: 6},
		{name: "doh.pcapng", probes: 7},
		{name: "example2.pcap", probes: 115},
		{name: "http-pipelined-40.pcap"},
		{name: "ocsp.pcapng", probes: 97},
		{name: "one_tcp_stream.pcap", probes: 1},
		{name: "pipelined-requests.pcap"},
		{name: "smb_v2.pcap", probes: 23},
		// Microseconds apart by the file's clock, which gives every packet the
		// same distance; but new IP identifiers, and an answer to each.
		{name: "thrift.pcap", probes: 8},
		// Every packet stands three times in this file, with different VLAN
		// tags. 26 and 36, 27 and 37 repeat the plain acknowledgments 15 and 16
		// after the FIN: once while the FIN has not been acknowledged, so that
		// no kernel would probe, and once acknowledging less than before.
		{name: "vlan-collisions.pcap", differ: map[int]tcpka.Kind{
			26: tcpka.Ack, 27: tcpka.Ack, 36: tcpka.Ack, 37: tcpka.Ack,
		}},
		{name: "websocket.pcap", probes: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := need.Capture(t, tt.name)
			flagged := tsharkProbes(t, path)
			kinds := flowKinds(t, path)
			differ := make(map[int]tcpka.Kind)
			probes := 0
			for frame, kind := range kinds {
				if kind == tcpka.Probe {
					probes++
				}
				if (kind == tcpka.Probe) != flagged[frame] {
					differ[frame] = kind
				}
			}
			if probes != tt.probes {
				t.Errorf("%d probes, want %d", probes, tt.probes)
			}
			if !maps.Equal(differ, tt.differ) {
				t.Errorf("differs from tshark at %v, want %v", differ, tt.differ)
			}
		})
	}
}

// flowKinds runs a Flow for each connection of a capture of Ethernet frames,
// and returns what it says of each frame.
func flowKinds(t *testing.T, path string) map[int]tcpka.Kind {
	type conn struct{ a, b netip.AddrPort }
	flows := make(map[conn]*tcpka.Flow)
	kinds := make(map[int]tcpka.Kind)
	read := openCapture(t, path)
	for number := 1; ; number++ {
		frame, err := read()
		if errors.Is(err, io.EOF) {
			return kinds
		}
		if err != nil {
			t.Fatal(err)
		}
		var s wire.Segment
		if wire.Decode(wire.Ethernet, frame, &s) != nil {
			continue
		}
		key, from := conn{s.Src, s.Dst}, 0
		if cmp.Or(s.Src.Addr().Compare(s.Dst.Addr()), cmp.Compare(s.Src.Port(), s.Dst.Port())) > 0 {
			key, from = conn{s.Dst, s.Src}, 1
		}
		if flows[key] == nil {
			flows[key] = new(tcpka.Flow)
		}
		kinds[number] = flows[key].Next(from, tcpka.Segment{
			Seq: s.Seq, Ack: s.Ack, Len: s.Len, Window: s.Window, Scale: s.Scale, Flags: tcpka.Flags(s.Flags & 0xff),
		}).Kind
	}
}

// tsharkProbes are the frames that have tcp.analysis.keep_alive.
func tsharkProbes(t *testing.T, capture string) map[int]bool {
	probes := make(map[int]bool)
	for _, row := range need.Table(t, capture) {
		if row["keep_alive"] == "" {
			continue
		}
		frame, err := strconv.Atoi(row["frame"])
		if err != nil {
			t.Fatal(err)
		}
		probes[frame] = true
	}
	return probes
}

// openCapture returns a function that reads the next frame.
func openCapture(t *testing.T, path string) func() ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if strings.HasSuffix(path, ".pcapng") {
		r, err := pcapgo.NewNgReader(bufio.NewReader(file), pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatal(err)
		}
		return func() ([]byte, error) { b, _, err := r.ReadPacketData(); return b, err }
	}
	r, err := pcapgo.NewReader(bufio.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return func() ([]byte, error) { b, _, err := r.ReadPacketData(); return b, err }
}
