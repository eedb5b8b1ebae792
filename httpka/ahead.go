package httpka

import "bytes"

// A Head is that of a message, read before a [Conversation] is fed with it: by
// another goroutine, as a rule.
type Head struct {
	of      []byte // the head, and what stands behind it
	end     int
	message Message
	fields  headFields
}

// ReadHead reads the head that b begins with, except for its target, and reports
// whether there is one, whole and right. It shares memory with b.
func (f *Familiar) ReadHead(b []byte, h *Head) bool {
	i := bytes.IndexByte(b, '\n')
	if i < 0 || !hasVersion(trimCR(b[:i])) {
		return false
	}
	*h = Head{of: b, message: Message{FromServer: string(b[:len(version)]) == version}}
	f.lately.noTargets = true
	var err error
	h.end, err = new(headScan).read(b[:min(len(b), maxHead)], &h.message, &h.fields, &f.lately, f)
	return h.end > 0 && err == nil
}

// hasVersion reports whether a line has, at one end, what every start-line has. What
// is none must cost little.
func hasVersion(line []byte) bool {
	n := len(line) - len(version)
	return n > 1 && (string(line[:len(version)]) == version || string(line[n-1:n-1+len(version)]) == version)
}

const version = "HTTP/1."

// begins reports whether b is what h was read from.
func (h *Head) begins(fromServer bool, b []byte) bool {
	return h != nil && &b[0] == &h.of[0] && len(b) == len(h.of) && fromServer == h.message.FromServer
}

// tell tells m what h says, and returns its length.
func (h *Head) tell(m *Message) int {
	m.Method, m.Version, m.Status, m.Phrase = h.message.Method, h.message.Version, h.message.Status, h.message.Phrase
	return h.end
}
