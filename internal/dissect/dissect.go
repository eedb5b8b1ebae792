// Package dissect takes one frame apart, down to each flag bit and TCP option,
// in the words and numbers of Wireshark 4.0, and says what the frame means.
package dissect

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"kax/internal/timeline"
)

// dissector takes one frame apart.
type dissector struct {
	Context
	frame     []byte
	layers    []timeline.Layer
	protocols []string
	trailed   int // the layer whose trailer follows the IP packet, or -1
	tags      int // bytes of VLAN tags
	elsewhere bool
	seen      segment
}

// Packet dissects a frame with what is known beside it.
func Packet(frame []byte, c Context) timeline.Packet {
	d := &dissector{Context: c, frame: frame, trailed: -1}
	d.link()
	d.layers = append([]timeline.Layer{d.frameLayer()}, d.layers...)
	return timeline.Packet{
		Number: d.Number, Link: d.Link.String(), Frame: frame, Layers: d.layers, Meaning: d.meaning(),
	}
}

// layer begins a layer at offset. The pointer is good until the next one begins.
func (d *dissector) layer(name string, offset, length int, format string, args ...any) *timeline.Layer {
	l := timeline.Layer{Name: name}
	l.Text = fmt.Sprintf(format, args...)
	l.Offset, l.Length = d.place(offset, length)
	d.layers = append(d.layers, l)
	return &d.layers[len(d.layers)-1]
}

// add appends a field. The pointer is good until the next one is appended.
func (d *dissector) add(to *timeline.Field, offset, length int, format string, args ...any) *timeline.Field {
	f := timeline.Field{Text: fmt.Sprintf(format, args...)}
	f.Offset, f.Length = d.place(offset, length)
	to.Fields = append(to.Fields, f)
	return &to.Fields[len(to.Fields)-1]
}

// place is where bytes stand in the frame: nowhere, where they are those of a
// datagram that came in several.
func (d *dissector) place(offset, length int) (int, int) {
	if d.elsewhere {
		return 0, 0
	}
	length = max(min(length, len(d.frame)-offset), 0)
	return min(offset, len(d.frame)), length
}

// has reports whether n bytes stand at offset.
func (d *dissector) has(offset, n int) bool { return n >= 0 && offset+n <= len(d.frame) }

func (d *dissector) u8(at int) byte    { return d.frame[at] }
func (d *dissector) u16(at int) uint16 { return binary.BigEndian.Uint16(d.frame[at:]) }
func (d *dissector) u32(at int) uint32 { return binary.BigEndian.Uint32(d.frame[at:]) }

// protocol notes what the frame holds.
func (d *dissector) protocol(names ...string) { d.protocols = append(d.protocols, names...) }

// cut says that a layer's header does not end in the frame.
func (d *dissector) cut(name string) {
	text := "[Malformed Packet: " + name + "]"
	if len(d.frame) < d.Length && !d.elsewhere {
		text = "[Packet size limited during capture: " + name + " truncated]"
	}
	d.layer("cut", len(d.frame), 0, "%s", text)
}

// data shows bytes that mean nothing here.
func (d *dissector) data(offset, end int) {
	end = min(end, len(d.frame))
	if offset >= end {
		return
	}
	d.protocol("data")
	l := d.layer("data", offset, end-offset, "Data (%s)", count(end-offset, "byte"))
	d.add(&l.Field, offset, end-offset, "Data: %s", octets(d.frame[offset:end]))
	d.add(&l.Field, offset, 0, "[Length: %d]", end-offset)
}

// maxOctets is how many bytes of a field are written out.
const maxOctets = 36

// octets writes bytes as digits, long ones in part.
func octets(b []byte) string {
	if len(b) > maxOctets {
		return hex.EncodeToString(b[:maxOctets]) + "…"
	}
	return hex.EncodeToString(b)
}

// bits draws some bits of a number of the given width, in groups of four:
// "..0. ....".
func bits(value uint32, mask uint32, width int) string {
	var b strings.Builder
	for i := width - 1; i >= 0; i-- {
		if mask>>i&1 == 0 {
			b.WriteByte('.')
		} else {
			b.WriteByte('0' + byte(value>>i&1))
		}
		if i%4 == 0 && i > 0 {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// choose picks one of two words.
func choose(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

func count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// named finds a number's name.
func named[K comparable](names map[K]string, k K) string {
	if name, ok := names[k]; ok {
		return name
	}
	return "Unknown"
}
