package view

import (
	"bytes"
	"fmt"
	"strings"

	"kax/internal/timeline"
)

// packet shows a frame: its bytes with the layers marked below them, then every
// field, then what it means.
func (o Options) packet(b *bytes.Buffer, p *timeline.Packet) {
	fmt.Fprintln(b)
	o.bytes(b, p)
	fmt.Fprintln(b)
	for _, l := range p.Layers {
		fmt.Fprintf(b, "%s\n", o.paint(bold, Clean(l.Text)))
		o.fields(b, l.Fields, "    ")
	}
	fmt.Fprintln(b)
	for _, sentence := range p.Meaning {
		o.paragraph(b, plain, "", Clean(sentence))
	}
}

func (o Options) fields(b *bytes.Buffer, fields []timeline.Field, indent string) {
	for _, f := range fields {
		fmt.Fprintf(b, "%s%s\n", indent, Clean(f.Text))
		o.fields(b, f.Fields, indent+"    ")
	}
}

// rowBytes is how many bytes a row shows.
const rowBytes = 16

// bytes dumps the frame as Wireshark does. The line below a row names the layer
// of each byte, from [ where it begins to ] where it ends.
func (o Options) bytes(b *bytes.Buffer, p *timeline.Packet) {
	extents := extents(p)
	for at := 0; at < len(p.Frame); at += rowBytes {
		row := p.Frame[at:min(at+rowBytes, len(p.Frame))]
		shown := make([]byte, len(row))
		for i, c := range row {
			if shown[i] = c; c < ' ' || c > '~' {
				shown[i] = '.'
			}
		}
		fmt.Fprintf(b, "%04x  %-*s   %s\n", at, 3*rowBytes-1, fmt.Sprintf("% x", []byte(row)), shown)
		fmt.Fprintf(b, "      %s\n", o.paint(dim, marks(extents, at, at+len(row))))
	}
}

// An extent of a frame belongs to one layer, or to one thing that a layer shows
// apart from its header.
type extent struct {
	name     string
	from, to int
}

// extents divides a frame. What comes later lies above what comes first.
func extents(p *timeline.Packet) []extent {
	owner := make([]int, len(p.Frame))
	names := []string{"data"}
	mark := func(name string, from, length int) {
		if length <= 0 || from < 0 || from+length > len(owner) {
			return
		}
		names = append(names, name)
		for i := from; i < from+length; i++ {
			owner[i] = len(names) - 1
		}
	}
	for _, beside := range []bool{true, false} {
		for _, l := range p.Layers {
			if l.Name == "frame" {
				continue
			}
			if !beside {
				mark(l.Name, l.Offset, l.Length)
				continue
			}
			for _, f := range l.Fields {
				if f.Offset >= l.Offset+l.Length {
					mark(subject(f.Text), f.Offset, f.Length)
				}
			}
		}
	}
	var out []extent
	for i, id := range owner {
		if i == 0 || id != owner[i-1] {
			out = append(out, extent{name: names[id], from: i})
		}
		out[len(out)-1].to = i + 1
	}
	return out
}

// subject is what a field is about: the text before its value.
func subject(text string) string {
	end := strings.IndexAny(text, ":(")
	if end < 0 {
		end = len(text)
	}
	return strings.ToLower(strings.TrimSpace(Clean(text[:end])))
}

// marks draws the parts that have bytes from at to end, three columns a byte.
func marks(extents []extent, at, end int) string {
	var b strings.Builder
	for _, p := range extents {
		from, to := max(p.from, at), min(p.to, end)
		if from >= to {
			continue
		}
		if from > at {
			b.WriteByte(' ')
		}
		width := 3*(to-from) - 1
		line := []byte(strings.Repeat("-", width))
		room := line
		if p.from >= at {
			line[0], room = '[', room[1:]
		}
		if p.to <= end {
			line[width-1], room = ']', room[:len(room)-1]
		}
		copy(room, p.name)
		b.Write(line)
	}
	return b.String()
}
