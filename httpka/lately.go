package httpka

// lately holds the last few strings of a connection. Those of its next messages
// are often the same, and then cost no allocation.
type lately struct {
	kept [8]string
	next uint8 // is replaced
}

const maxKept = 128 // bytes of one of them

// string is string(b).
func (l *lately) string(b []byte) string {
	switch string(b) { // what most messages have needs no place
	case "":
		return ""
	case "GET":
		return "GET"
	case "POST":
		return "POST"
	case "close":
		return "close"
	case "keep-alive":
		return "keep-alive"
	}
	for i := range l.kept {
		if l.kept[i] == string(b) {
			return l.kept[i]
		}
	}
	s := string(b)
	if len(s) <= maxKept {
		l.kept[l.next] = s
		l.next = (l.next + 1) % uint8(len(l.kept))
	}
	return s
}
