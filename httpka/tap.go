package httpka

// A tap keeps the last bytes of one direction: a head begins in those that came
// last, or in a head that has not come whole.
type tap struct {
	from int64 // the offset of the first byte of b
	b    []byte
}

// add needs the bytes before they are fed to the conversation.
func (t *tap) add(b []byte) {
	t.b = append(t.b, b...)
	if old := len(t.b) - maxHead - len(b); old > 0 {
		t.from += int64(old)
		t.b = append(t.b[:0], t.b[old:]...)
	}
}

// cut returns what lies between two offsets, as far as it was kept.
func (t *tap) cut(start, end int64) []byte {
	start, end = max(start-t.from, 0), min(end-t.from, int64(len(t.b)))
	if start >= end {
		return nil
	}
	return t.b[start:end]
}
