package wire_test

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kax/internal/need"
	"kax/internal/wire"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// What tshark says of the same frames, beside each capture in NAME.tshark.tsv.
func TestAgreesWithTshark(t *testing.T) {
	for _, name := range need.Captures() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := need.Capture(t, name)
			want := tsharkSegments(t, path)
			frames := readCapture(t, path)
			var d wire.Decoder
			for i, f := range frames {
				var s wire.Segment
				err := d.Decode(f.link, f.data, &s)
				w, isTCP := want[i+1]
				delete(want, i+1)
				switch got := (segment{s.Seq, s.Ack, s.Len, s.Flags}); {
				case isTCP && err != nil:
					t.Errorf("frame %d: %v, tshark has %+v", i+1, err, w)
				case !isTCP && err == nil:
					t.Errorf("frame %d: %+v, tshark has no segment", i+1, s)
				case isTCP && got != w:
					t.Errorf("frame %d: %+v, tshark has %+v", i+1, got, w)
				}
			}
			if len(want) != 0 {
				t.Errorf("%d frames read, and tshark has %v", len(frames), slices.Sorted(maps.Keys(want)))
			}
		})
	}
}

type segment struct {
	seq, ack uint32
	len      int
	flags    wire.Flags
}

// tsharkSegments are what tshark's table has, by frame number.
func tsharkSegments(t *testing.T, capture string) map[int]segment {
	segments := make(map[int]segment)
	for _, row := range need.Table(t, capture) {
		number := func(column string) int {
			n, err := strconv.Atoi(row[column])
			if err != nil {
				t.Fatalf("%v: %s: %v", row, column, err)
			}
			return n
		}
		segments[number("frame")] = segment{uint32(number("seq")), uint32(number("ack")), number("len"), tsharkFlags(row["flags"])}
	}
	return segments
}

// tsharkFlags reads "·······A··S·": a letter or a dot for each of 12 bits,
// highest first.
func tsharkFlags(s string) wire.Flags {
	var f wire.Flags
	for _, r := range s {
		f <<= 1
		if r != '·' {
			f |= 1
		}
	}
	return f
}

type frame struct {
	link wire.Link
	data []byte
}

// readCapture returns the frames of a file.
func readCapture(t *testing.T, path string) []frame {
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var r interface {
		gopacket.PacketDataSource
		LinkType() layers.LinkType
	}
	if strings.HasSuffix(path, ".pcapng") {
		r, err = pcapgo.NewNgReader(bufio.NewReader(file), pcapgo.DefaultNgReaderOptions)
	} else {
		r, err = pcapgo.NewReader(bufio.NewReader(file))
	}
	if err != nil {
		t.Fatal(err)
	}
	var frames []frame
	for {
		data, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return frames
		}
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, frame{wire.Link(r.LinkType()), data})
	}
}
