package httpka

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
)

// headScan reads a head that may grow between its calls.
type headScan struct {
	fields int32 // where the first line after the start-line begins, 0 before
	at     int32 // where the line begins that has no end yet
	seen   int32 // how far an end was looked for
}

// read reads the head that data begins with, and returns its length, or 0 where
// the end is not there. Its start-line is read as soon as that is whole, so
// that what is not HTTP is not waited for.
func (s *headScan) read(data []byte, m *Message, f *headFields, l *lately, known *Familiar) (end int, err error) {
	if s.fields == 0 {
		i := bytes.IndexByte(data[s.seen:], '\n')
		if i < 0 {
			s.seen = int32(len(data))
			return 0, hopeless(data, m.FromServer)
		}
		i += int(s.seen)
		if err := hopeless(data[:i+1], m.FromServer); err != nil {
			return 0, err
		}
		if err := m.readStartLine(trimCR(data[:i]), l); err != nil {
			return 0, err
		}
		s.fields = int32(i + 1)
		s.at, s.seen = s.fields, s.fields
		// Most heads come whole, and are read in one go.
		if n, err := f.read(data[s.fields:], m.FromServer, known); n > 0 {
			return int(s.fields) + n, err
		}
	}
	if end = s.find(data); end > 0 {
		_, err = f.read(data[s.fields:end], m.FromServer, known)
	}
	return end, err
}

// find looks for the empty line at the end, and at no byte twice.
func (s *headScan) find(data []byte) (end int) {
	for {
		i := bytes.IndexByte(data[s.seen:], '\n')
		if i < 0 {
			s.seen = int32(len(data))
			return 0
		}
		line := data[s.at : int(s.seen)+i]
		s.seen += int32(i + 1)
		s.at = s.seen
		if len(trimCR(line)) == 0 {
			return int(s.at)
		}
	}
}

// emptyLine returns the length of the empty line that b begins with, or 0.
func emptyLine(b []byte) int {
	switch {
	case b[0] == '\n':
		return 1
	case b[0] == '\r' && len(b) > 1 && b[1] == '\n':
		return 2
	}
	return 0
}

// trimCR removes the CR of a line's end, which by RFC 9112 section 2.2 may be
// missing.
func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// hopeless says why what begins with b is no start-line, if that can be told.
func hopeless(b []byte, fromServer bool) error {
	const start = "HTTP/"
	switch first := b[0]; {
	case first == '\r' && len(b) == 1: // perhaps of an empty line
		return nil
	case first >= 20 && first <= 23: // a content type of RFC 8446 section 5.1, then version 3.x
		if len(b) == 1 {
			return nil
		}
		if b[1] == 3 {
			return ErrTLS
		}
		return ErrNotHTTP
	case fromServer && first == 0: // perhaps a frame
		if isHTTP2(b) {
			return ErrHTTP2
		}
		if len(b) >= frameHeader {
			return ErrNotHTTP
		}
	case fromServer:
		if n := min(len(b), len(start)); string(b[:n]) != start[:n] {
			return ErrNotHTTP
		}
	default:
		// Enough of the method to know binary data.
		b = b[:min(len(b), 32)]
		if n := tokenLen(b); n == 0 || n < len(b) && b[n] != ' ' {
			return ErrNotHTTP
		}
	}
	return nil
}

const frameHeader = 9 // bytes: RFC 9113 section 4.1

// isHTTP2 knows the frames that a server of HTTP/2 may begin with (RFC 9113
// section 3.4): SETTINGS, or GOAWAY, on stream 0.
func isHTTP2(b []byte) bool {
	return len(b) >= frameHeader && b[0] == 0 && (b[3] == 4 || b[3] == 7) && string(b[5:frameHeader]) == "\x00\x00\x00\x00"
}

// beginsMessage reports that b may be where a direction continues after a gap:
// it begins with a start-line, and what has come of its fields are fields.
func beginsMessage(fromServer bool, b []byte) bool {
	i := bytes.IndexByte(b, '\n')
	if i < 0 || hopeless(b[:i+1], fromServer) != nil {
		return false
	}
	m := Message{FromServer: fromServer}
	if m.readStartLine(trimCR(b[:i]), &lately{}) != nil {
		return false
	}
	_, err := new(headFields).read(b[i+1:], fromServer, nil)
	return err == nil
}

// readStartLine is strict about spaces: RFC 9112 section 3 lets recipients
// be lenient, and warns that they then differ about what was asked.
func (m *Message) readStartLine(line []byte, l *lately) error {
	if m.FromServer {
		return m.readStatusLine(line, l)
	}
	n := tokenLen(line)
	end := n + 1                                                  // of the target
	for end < len(line) && line[end] > ' ' && line[end] != 0x7f { // bytes above ASCII are wrong there, and common
		end++
	}
	if n == 0 || end <= n+1 || end >= len(line) || line[n] != ' ' || line[end] != ' ' {
		return fmt.Errorf("%w: no request line", ErrNotHTTP)
	}
	method, target, version := line[:n], line[n+1:end], line[end+1:]
	if string(line) == "PRI * HTTP/2.0" { // RFC 9113 section 3.4
		return ErrHTTP2
	}
	v, err := readVersion(version)
	if err != nil {
		return err
	}
	m.Method, m.Target, m.Version = l.string(method), l.target(target), v
	return nil
}

// readStatusLine takes a line without the space after the status too, as all
// clients do.
func (m *Message) readStatusLine(line []byte, l *lately) error {
	version, rest, _ := cut(line, ' ')
	v, err := readVersion(version)
	if err != nil {
		return err
	}
	code, phrase, _ := cut(rest, ' ')
	if len(code) != 3 || code[0] < '1' || !isDigit(code[0]) || !isDigit(code[1]) || !isDigit(code[2]) {
		return fmt.Errorf("%w: no status", ErrHead)
	}
	if bytes.ContainsAny(phrase, "\r\x00") {
		return fmt.Errorf("%w: reason phrase", ErrHead)
	}
	m.Version = v
	m.Status = int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
	if m.Phrase = http.StatusText(m.Status); m.Phrase != string(phrase) {
		m.Phrase = l.string(phrase)
	}
	return nil
}

// readVersion takes HTTP/1 only. A minor version above 1 is one of HTTP/1.1
// (RFC 9110 section 2.5).
func readVersion(b []byte) (string, error) {
	switch string(b) {
	case "HTTP/1.1":
		return "HTTP/1.1", nil
	case "HTTP/1.0":
		return "HTTP/1.0", nil
	}
	if len(b) != len("HTTP/1.1") || !strings.HasPrefix(string(b), "HTTP/1.") || !isDigit(b[7]) {
		return "", fmt.Errorf("%w: no version of it", ErrNotHTTP)
	}
	return string(b), nil
}

// cut is [bytes.Cut] at a single byte.
func cut(b []byte, at byte) (before, after []byte, found bool) {
	if i := bytes.IndexByte(b, at); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}

func isDigit(x byte) bool { return '0' <= x && x <= '9' }

// tokens marks the bytes that are a tchar of RFC 9110 section 5.6.2.
var tokens = func() (is [256]bool) {
	for x := range is {
		c := byte(x)
		is[x] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
	}
	return is
}()

// tokenLen is the length of the token that b begins with.
func tokenLen(b []byte) (n int) {
	for n < len(b) && tokens[b[n]] {
		n++
	}
	return n
}
