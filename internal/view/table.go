package view

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// table lines cells up in columns, each as wide as its widest cell. A column
// with nothing in it is not shown, and where the columns do not all fit beside
// each other the rest of each row goes onto indented lines below it. The table
// keeps its cells in one piece: there may be as many rows as a machine has
// sockets.
type table struct {
	columns []column
	text    []byte
	ends    []uint32 // of each cell, in text
}

type column struct {
	name  string
	right bool // for numbers
	width int
	used  bool // some cell has something to say
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
	c := &t.columns[len(t.ends)%len(t.columns)]
	if len(t.text) == int(from) {
		t.text = append(t.text, '-')
	} else if len(t.ends) >= len(t.columns) {
		c.used = true
	}
	c.width = max(c.width, utf8.RuneCount(t.text[from:]))
	t.ends = append(t.ends, uint32(len(t.text)))
}

// cell is the j-th of the i-th row; row 0 is the headings.
func (t *table) cell(i, j int) []byte {
	k, from := i*len(t.columns)+j, uint32(0)
	if k > 0 {
		from = t.ends[k-1]
	}
	return t.text[from:t.ends[k]]
}

// rows is how many there are, without the headings.
func (t *table) rows() int { return len(t.ends)/len(t.columns) - 1 }

const (
	columnGap = 2
	rowIndent = 4 // of the lines of a row after its first
)

// layout says which columns stand on which line of a row of at most width
// columns; 0 is any width.
func (t *table) layout(width int) (lines [][]int) {
	room := -1
	for j, c := range t.columns {
		if !c.used {
			continue
		}
		if room -= columnGap + c.width; len(lines) > 0 && (width == 0 || room >= 0) {
			lines[len(lines)-1] = append(lines[len(lines)-1], j)
			continue
		}
		room = width - c.width
		if len(lines) > 0 {
			room -= rowIndent
		}
		lines = append(lines, []int{j})
	}
	return lines
}

// line appends what stands on the n-th line of the i-th row to b.
func (t *table) line(b []byte, i, n int, columns []int) []byte {
	if n > 0 {
		b = append(b, blanks(rowIndent)...)
	}
	for k, j := range columns {
		cell := t.cell(i, j)
		space := t.columns[j].width - utf8.RuneCount(cell)
		if t.columns[j].right {
			b = append(b, blanks(space)...)
		}
		b = append(b, cell...)
		if k == len(columns)-1 {
			break
		}
		if !t.columns[j].right {
			b = append(b, blanks(space)...)
		}
		b = append(b, blanks(columnGap)...)
	}
	return b
}

func blanks(n int) []byte { return bytes.Repeat([]byte{' '}, n) }

// write writes the table, and then the lines of a text, as far as the options
// have room.
func (o Options) write(t *table, after []string) []byte {
	width := o.Width
	if o.Uncut {
		width = 0
	}
	layout := t.layout(width)
	rows, hidden := t.rows(), 0
	if o.Height > 0 {
		// At least the headings, a line for what is hidden, and the first of after.
		after = after[:min(len(after), max(o.Height-len(layout)-1, 1))]
		room := o.Height - len(layout) - len(after)
		if rows*len(layout) > room {
			shown := max(room-1, 0) / len(layout)
			rows, hidden = shown, rows-shown
		}
	}
	out := make([]byte, 0, len(t.text)*3/2)
	newline := "\n"
	if o.Height > 0 {
		// ECMA-48: to the first line; what a line had before goes.
		out, newline = append(out, "\x1b[H"...), "\x1b[K\n"
	}
	for i := 0; i <= rows; i++ {
		for n, columns := range layout {
			from := len(out)
			out = t.line(out, i, n, columns)
			if width > 0 && len(out)-from > width {
				out = append(out[:from], cut(string(out[from:]), width)...)
			}
			if i == 0 {
				out = append(out[:from], o.paint(bold, string(out[from:]))...)
			}
			out = append(out, newline...)
		}
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
