package view

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// table lines cells up in columns, each as wide as its widest cell. It keeps
// them in one piece: there may be as many rows as a machine has sockets.
type table struct {
	columns []column
	text    []byte
	ends    []uint32 // of each cell, in text
}

type column struct {
	name  string
	right bool // for numbers
	width int
}

func newTable(columns ...column) *table {
	t := &table{columns: columns}
	for _, c := range columns {
		t.put(c.name)
	}
	return t
}

// put adds a cell, "-" where there is nothing to say.
func (t *table) put(text string) {
	t.text = append(t.text, Clean(text)...)
	t.end()
}

// end ends a cell whose text has been appended.
func (t *table) end() {
	from := uint32(0)
	if n := len(t.ends); n > 0 {
		from = t.ends[n-1]
	}
	if len(t.text) == int(from) {
		t.text = append(t.text, '-')
	}
	c := &t.columns[len(t.ends)%len(t.columns)]
	c.width = max(c.width, utf8.RuneCount(t.text[from:]))
	t.ends = append(t.ends, uint32(len(t.text)))
}

// rows is how many there are, without the headings.
func (t *table) rows() int { return len(t.ends)/len(t.columns) - 1 }

// line appends the i-th row to b; row 0 is the headings.
func (t *table) line(b []byte, i int) []byte {
	last := len(t.columns) - 1
	for j, c := range t.columns {
		k, from := i*len(t.columns)+j, uint32(0)
		if k > 0 {
			from = t.ends[k-1]
		}
		cell := t.text[from:t.ends[k]]
		space := c.width - utf8.RuneCount(cell)
		if c.right {
			b = append(b, blanks(space)...)
		}
		b = append(b, cell...)
		if j < last {
			if !c.right {
				b = append(b, blanks(space)...)
			}
			b = append(b, "  "...)
		}
	}
	return b
}

func blanks(n int) []byte { return bytes.Repeat([]byte{' '}, n) }

// write writes the table, and then the lines of a text, as far as the options
// have room.
func (o Options) write(t *table, after []string) []byte {
	rows, hidden := t.rows(), 0
	if o.Height > 0 {
		if room := max(o.Height-1-len(after), 0); rows > room {
			room = max(room-1, 0) // for the line that says so
			rows, hidden = room, rows-room
		}
	}
	out := make([]byte, 0, len(t.text)*3/2)
	newline := "\n"
	if o.Height > 0 {
		// ECMA-48: to the first line; what a line had before goes.
		out, newline = append(out, "\x1b[H"...), "\x1b[K\n"
	}
	for i := 0; i <= rows; i++ {
		from := len(out)
		out = t.line(out, i)
		if !o.Uncut && len(out)-from > o.Width {
			out = append(out[:from], cut(string(out[from:]), o.Width)...)
		}
		if i == 0 {
			out = append(out[:from], o.paint(bold, string(out[from:]))...)
		}
		out = append(out, newline...)
	}
	if hidden > 0 {
		out = append(fmt.Appendf(out, "… %d more", hidden), newline...)
	}
	for _, line := range after {
		out = append(append(out, line...), newline...)
	}
	if o.Height > 0 { // the last line's end would scroll
		out = append(out[:len(out)-1], "\x1b[J"...)
	}
	return out
}
