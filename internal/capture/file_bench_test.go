package capture_test

import (
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kax/internal/capture"
	"kax/internal/wire"
)

// BenchmarkFile reads a million packets from the page cache; an iteration is one
// packet.
func BenchmarkFile(b *testing.B) {
	const packets = 1_000_000
	one := capture.Packet{Time: time.Unix(1700000000, 123456789), Data: make([]byte, 66), Length: 66, Link: wire.Ethernet}
	for _, format := range []string{"pcap", "pcapng"} {
		whole := pcapBytes(binary.LittleEndian, microMagic, wire.Ethernet, one)
		header := 24
		if format == "pcapng" {
			n := ng{binary.LittleEndian}
			whole = append(append(n.section(), n.iface(wire.Ethernet, 0)...), n.enhanced(0, uint64(one.Time.UnixMicro()), one)...)
			header = 28 + 20
		}
		name := filepath.Join(b.TempDir(), "bench."+format)
		input := append([]byte(nil), whole[:header]...)
		for range packets {
			input = append(input, whole[header:]...)
		}
		if err := os.WriteFile(name, input, 0o600); err != nil {
			b.Fatal(err)
		}
		b.Run(format, func(b *testing.B) {
			in, err := os.Open(name)
			if err != nil {
				b.Fatal(err)
			}
			defer in.Close()
			b.SetBytes(int64(len(whole) - header))
			b.ReportAllocs()
			var p capture.Packet
			var f *capture.File
			for n := 0; b.Loop(); n++ {
				if n%packets == 0 {
					if _, err := in.Seek(0, io.SeekStart); err != nil {
						b.Fatal(err)
					}
					if f, err = capture.NewFile(in, name); err != nil {
						b.Fatal(err)
					}
				}
				if err := f.Next(&p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
