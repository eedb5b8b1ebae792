package capture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"time"

	"kax/internal/capture"
	"kax/internal/wire"
)

// Packets lie in the pieces that are given, and stay there, however the input comes.
func TestFilePieces(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var want []capture.Packet
	for at := 0; at < 5*capture.BufferSize; {
		size := []int{r.IntN(100), r.IntN(2000), r.IntN(capture.MaxPacket + 1), capture.MaxPacket}[min(r.IntN(300), 3)]
		if len(want)%100 != 0 {
			size = min(size, 1500)
		}
		data := bytes.Repeat([]byte{byte(len(want))}, size)
		want = append(want, capture.Packet{Time: time.Unix(int64(len(want)), 0), Data: data, Length: size, Link: wire.Ethernet})
		at += size
	}
	for format, file := range map[string][]byte{
		"pcap":   pcapBytes(binary.LittleEndian, microMagic, wire.Ethernet, want...),
		"pcapng": pcapngBytes(binary.LittleEndian, want...),
	} {
		for how, in := range map[string]io.Reader{"whole": bytes.NewReader(file), "halves": iotest.HalfReader(bytes.NewReader(file))} {
			f, err := capture.NewFile(in, format)
			if err != nil {
				t.Fatal(err)
			}
			given := 0
			f.Pieces(func() []byte {
				given++
				return make([]byte, capture.BufferSize)
			})
			var got []capture.Packet
			for err == nil {
				var p capture.Packet
				if err = f.Next(&p); err == nil {
					got = append(got, p)
				}
			}
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			if same(t, got, want); t.Failed() {
				t.Fatal(format, how)
			}
			if most := 2*len(file)/capture.BufferSize + 1; given < 4 || given > most {
				t.Errorf("%s, %s: %d pieces for %d bytes", format, how, given, len(file))
			}
		}
	}
}
