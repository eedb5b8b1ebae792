package httpka

import (
	"bytes"
	"encoding/binary"
)

// Familiar are lines of heads that have come lately and say nothing that matters
// here, neither of the connection nor of where a message ends. Most lines are like
// that, and the same in the next head, of whichever connection. The zero Familiar
// is ready for use.
type Familiar struct {
	lines  [256]familiarLine // by some of their bytes
	lately lately            // of ReadHead
}

// A familiarLine is one with its end; nil is none.
type familiarLine []byte

const maxFamiliar = 128 // bytes of a line

// place is where the line is kept that b begins with, or nil. Names of common
// fields differ in the bytes from the fifth on.
func (f *Familiar) place(b []byte) *familiarLine {
	if f == nil || len(b) < 12 {
		return nil
	}
	return &f.lines[binary.LittleEndian.Uint64(b[4:])*0x9e3779b97f4a7c15>>56]
}

// begins returns the length of l, if b begins with it.
func (l *familiarLine) begins(b []byte) int {
	if l == nil || !bytes.HasPrefix(b, *l) {
		return 0
	}
	return len(*l)
}

func (l *familiarLine) keep(line []byte) {
	if l != nil && len(line) <= maxFamiliar {
		*l = append((*l)[:0], line...)
	}
}
