package httpka

// lately holds the last few strings of a connection. Those of its next messages
// are often the same, and then cost no allocation.
type lately struct {
	kept [6]string
	mark [6]uint8 // of each: those of another mark need not be compared
	next uint8    // is replaced

	noTargets bool // they are not wanted
}

const maxKept = 128 // bytes of one of them

// target is string(b), where that is wanted.
func (l *lately) target(b []byte) string {
	if l.noTargets {
		return ""
	}
	return l.string(b)
}

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
	mark := uint8(len(b)) ^ b[len(b)-1]*31 ^ b[len(b)/2]*67
	for i := range l.kept {
		if l.mark[i] == mark && l.kept[i] == string(b) {
			return l.kept[i]
		}
	}
	s := string(b)
	if len(s) <= maxKept {
		l.kept[l.next], l.mark[l.next] = s, mark
		l.next = (l.next + 1) % uint8(len(l.kept))
	}
	return s
}
