package view_test

import (
	"strings"
	"testing"

	"kax/internal/timeline"
	"kax/internal/view"
)

// Each byte of a frame is named by the innermost thing that it belongs to, and
// text of the network is escaped.
func TestPacket(t *testing.T) {
	field := func(text string, offset, length int, fields ...timeline.Field) timeline.Field {
		return timeline.Field{Text: text, Offset: offset, Length: length, Fields: fields}
	}
	p := timeline.Packet{
		Number: 1, Link: "ethernet", Frame: []byte("0123456789abcdefghijklmnopqrstuvwxyz\x00\x1b"),
		Layers: []timeline.Layer{
			{Name: "frame", Field: field("Frame 1", 0, 38)},
			{Name: "eth", Field: field("Ethernet II", 0, 3, field("Type: IPv4", 1, 2), field("Padding: 00", 36, 1), field("Trailer: 1b", 37, 1))},
			{Name: "ip", Field: field("Internet \x1b[31m", 3, 1, field("Flags", 3, 1, field("\u202eSet", 3, 1)))},
			{Name: "tcp", Field: field("Transmission", 4, 20, field("TCP payload (12 bytes)", 24, 12))},
		},
		Meaning: []string{"It means \x07 this."},
	}
	var out strings.Builder
	if err := view.NewLanes(&out, view.Options{Width: 80}).Record(timeline.Record{Packet: &p}); err != nil {
		t.Fatal(err)
	}
	const want = `
0000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66   0123456789abcdef
      [eth---] [] [tcp-------------------------------
0010  67 68 69 6a 6b 6c 6d 6e 6f 70 71 72 73 74 75 76   ghijklmnopqrstuv
      tcp-------------------] [tcp payload-----------
0020  77 78 79 7a 00 1b                                 wxyz..
      tcp payloa] [] []

Frame 1
Ethernet II
    Type: IPv4
    Padding: 00
    Trailer: 1b
Internet \x1b[31m
    Flags
        \u202eSet
Transmission
    TCP payload (12 bytes)

It means \x07 this.
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
