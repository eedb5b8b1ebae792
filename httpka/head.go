package httpka

import (
	"bufio"
	"bytes"
	"net/textproto"
	"strconv"
	"strings"
)

// readHead takes the fields of an [Event] from the head of a message as it is
// written to a connection: what is sent, rather than what was meant. It
// reports whether b begins with a whole head.
func readHead(b []byte, e *Event) bool {
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(b)))
	line, err := r.ReadLine()
	if err != nil || strings.Contains(line, "\r") { // RFC 9112 section 2.2: no CR by itself
		return false
	}
	header, err := r.ReadMIMEHeader()
	if err != nil {
		return false
	}
	first, rest, _ := strings.Cut(line, " ")
	if strings.HasPrefix(first, "HTTP/") {
		code, _, _ := strings.Cut(rest, " ")
		status, err := strconv.Atoi(code)
		if err != nil {
			return false
		}
		e.Version, e.Status = first, status
	} else {
		target, version, ok := strings.Cut(rest, " ")
		if !ok || first == "" || version == "" {
			return false
		}
		e.Method, e.Target, e.Version = first, target, version
	}
	// RFC 9110 section 5.3: several lines of one name are one list.
	e.Connection = strings.Join(header["Connection"], ", ")
	e.KeepAlive = strings.Join(header["Keep-Alive"], ", ")
	return true
}

// headLen is the length of the head that b begins with, up to and with its
// empty line; 0 where that is not there. A line may end with LF alone (RFC 9112
// section 2.2).
func headLen(b []byte) int {
	for n := 0; ; {
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			return 0
		}
		n += i + 1
		switch rest := b[n:]; {
		case bytes.HasPrefix(rest, []byte("\n")):
			return n + 1
		case bytes.HasPrefix(rest, []byte("\r\n")):
			return n + 2
		}
	}
}

// mayBeHead reports whether b can be the beginning of a response: where a head
// does not end it is none any more.
func mayBeHead(b []byte) bool {
	const start = "HTTP/"
	n := min(len(b), len(start))
	return len(b) < maxHead && string(b[:n]) == start[:n]
}
