package httpka

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
)

// headScan finds the end of a head that may grow between its calls.
type headScan struct {
	at     int // where the line begins that has no end yet
	seen   int // how far an end was looked for
	fields int // where the first line after the start-line begins, 0 before
}

// next looks for the end of the head that data begins with. It reads the
// start-line into m as soon as that is whole, so that what is not HTTP is not
// waited for. Without an end it returns 0.
func (s *headScan) next(data []byte, m *Message, lately *lately) (end int, err error) {
	for {
		i := bytes.IndexByte(data[s.seen:], '\n')
		if i < 0 {
			s.seen = len(data)
			if s.fields == 0 {
				return 0, hopeless(data, m.FromServer)
			}
			return 0, nil
		}
		line := data[s.at : s.seen+i+1]
		s.seen += i + 1
		s.at = s.seen
		switch {
		case s.fields == 0:
			if err := hopeless(line, m.FromServer); err != nil {
				return 0, err
			}
			if err := m.readStartLine(trimEOL(line), lately); err != nil {
				return 0, err
			}
			s.fields = s.at
		case len(trimEOL(line)) == 0:
			return s.at, nil
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

// trimEOL removes CRLF or, by RFC 9112 section 2.2, a bare LF.
func trimEOL(line []byte) []byte {
	n := len(line)
	if n > 0 && line[n-1] == '\n' {
		n--
	}
	if n > 0 && line[n-1] == '\r' {
		n--
	}
	return line[:n]
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
	case fromServer:
		if n := min(len(b), len(start)); string(b[:n]) != start[:n] {
			return ErrNotHTTP
		}
	default:
		// Enough of the method to know binary data.
		for i, x := range b[:min(len(b), 32)] {
			if x == ' ' && i > 0 {
				break
			}
			if !isToken(x) {
				return ErrNotHTTP
			}
		}
	}
	return nil
}

// beginsMessage reports that b may be where a direction continues after a gap.
func beginsMessage(fromServer bool, b []byte) bool {
	line, _, whole := bytes.Cut(b, []byte("\n"))
	m := Message{FromServer: fromServer}
	return whole && m.readStartLine(trimEOL(line), &lately{}) == nil
}

// readStartLine is strict about spaces: RFC 9112 section 3 lets recipients
// be lenient, and warns that they then differ about what was asked.
func (m *Message) readStartLine(line []byte, lately *lately) error {
	if m.FromServer {
		return m.readStatusLine(line, lately)
	}
	method, rest, _ := cut(line, ' ')
	target, version, ok := cut(rest, ' ')
	if !ok || len(method) == 0 || !allTokens(method) || len(target) == 0 || !isVisible(target) {
		return fmt.Errorf("%w: no request line", ErrNotHTTP)
	}
	if string(line) == "PRI * HTTP/2.0" { // RFC 9113 section 3.4
		return ErrHTTP2
	}
	v, err := readVersion(version)
	if err != nil {
		return err
	}
	m.Method, m.Target, m.Version = again(&lately.method, method), again(&lately.target, target), v
	return nil
}

// readStatusLine takes a line without the space after the status too, as all
// clients do.
func (m *Message) readStatusLine(line []byte, lately *lately) error {
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
		m.Phrase = again(&lately.phrase, phrase)
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

// lately are strings of the message before in a direction: those of the next are
// often the same.
type lately struct{ method, target, phrase, connection, keepAlive string }

// again is string(b), without an allocation where that is what it was before.
func again(before *string, b []byte) string {
	if *before != string(b) {
		*before = string(b)
	}
	return *before
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

func isToken(x byte) bool { return tokens[x] }

func allTokens(b []byte) bool {
	for _, x := range b {
		if !tokens[x] {
			return false
		}
	}
	return true
}

// isVisible reports that b has neither controls nor spaces. Bytes above ASCII
// are wrong in a target, and common.
func isVisible(b []byte) bool {
	for _, x := range b {
		if x <= ' ' || x == 0x7f {
			return false
		}
	}
	return true
}
