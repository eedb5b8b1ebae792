package httpka

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
)

// headFields is what a head says about its message's framing and connection.
type headFields struct {
	connection, keepAlive fieldList
	upgrade               bool

	hasLength bool
	badLength bool // invalid, or several that differ
	length    int64

	coded   bool // there is a Transfer-Encoding
	chunked int  // how often it names chunked
	last    bool // chunked is its last coding
	badCode bool // written so that recipients may differ about it
}

var carriageReturn = []byte("\r")

// The names that matter here.
type fieldName uint8

const (
	otherField fieldName = iota
	connectionField
	keepAliveField
	lengthField
	codingField
	upgradeField
)

// read reads the lines between a start-line and the end of its head, and says
// how many bytes they are with the empty line. Where that is not there it
// returns 0, and an error only if one of the lines is wrong.
func (f *headFields) read(b []byte, fromServer bool) (n int, err error) {
	*f = headFields{}
	name, returns, first := otherField, 0, true
	for {
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			return 0, err
		}
		line := trimCR(b[n : n+i])
		returns += i - len(line)
		n += i + 1
		if len(line) == 0 {
			break
		}
		if err == nil { // otherwise only the end is looked for
			name, err = f.line(line, name, first, fromServer)
		}
		first = false
	}
	// RFC 9112 section 2.2, RFC 9110 section 5.5: no NUL, and no CR by itself.
	if bytes.IndexByte(b[:n], 0) >= 0 || bytes.Count(b[:n], carriageReturn) != returns {
		err = fmt.Errorf("%w: CR or NUL in a field", ErrHead)
	}
	return n, err
}

// line reads a line, behind one of a field called before.
func (f *headFields) line(line []byte, before fieldName, first, fromServer bool) (fieldName, error) {
	if line[0] == ' ' || line[0] == '\t' {
		if first { // RFC 9112 section 2.2
			return otherField, fmt.Errorf("%w: space before the first field", ErrHead)
		}
		f.fold(before, trimSpace(line))
		return before, nil
	}
	n := 0
	for n < len(line) && tokens[line[n]] {
		n++
	}
	name := nameOf(line[:n])
	colon := n
	// Section 5.1: space before the colon is an error in a request, and
	// removed from a response. There recipients differ about it, so that
	// it must not say where the message ends.
	if fromServer && name != lengthField && name != codingField {
		for colon < len(line) && (line[colon] == ' ' || line[colon] == '\t') {
			colon++
		}
	}
	if n == 0 || colon == len(line) || line[colon] != ':' {
		return name, fmt.Errorf("%w: a line that is no field", ErrHead)
	}
	if name != otherField {
		f.add(name, trimSpace(line[colon+1:]))
	}
	return name, nil
}

func nameOf(b []byte) fieldName {
	is := func(text string) bool { return strings.EqualFold(string(b), text) }
	switch len(b) {
	case len("Upgrade"):
		if is("Upgrade") {
			return upgradeField
		}
	case len("Connection"): // and of Keep-Alive
		if is("Connection") {
			return connectionField
		}
		if is("Keep-Alive") {
			return keepAliveField
		}
	case len("Content-Length"):
		if is("Content-Length") {
			return lengthField
		}
	case len("Transfer-Encoding"):
		if is("Transfer-Encoding") {
			return codingField
		}
	}
	return otherField
}

// trimSpace removes optional white space (RFC 9110 section 5.6.3).
func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

func (f *headFields) add(name fieldName, value []byte) {
	switch name {
	case connectionField:
		f.connection.add(value)
	case keepAliveField:
		f.keepAlive.add(value)
	case lengthField:
		f.addLength(value)
	case codingField:
		f.addCoding(value)
	case upgradeField:
		f.upgrade = true
	}
}

// A fieldList is the value of fields of one name. It is part of the head as
// long as there is one of them: that costs no copy.
type fieldList struct {
	any   bool
	value []byte
}

// add puts a comma before each but the first (RFC 9110 section 5.3).
func (l *fieldList) add(value []byte) {
	if !l.any {
		l.any, l.value = true, slices.Clip(value)
		return
	}
	l.value = append(append(l.value, ", "...), value...)
}

func (l *fieldList) fold(more []byte) {
	if len(l.value) > 0 && len(more) > 0 {
		l.value = append(l.value, ' ')
	}
	l.value = append(l.value, more...)
}

// fold adds an obsolete continuation line, as if it were a space (RFC 9112
// section 5.2). In what says where the message ends it is not to be trusted.
func (f *headFields) fold(name fieldName, more []byte) {
	switch name {
	case connectionField:
		f.connection.fold(more)
	case keepAliveField:
		f.keepAlive.fold(more)
	case lengthField:
		f.badLength = true
	case codingField:
		f.badCode = true
	}
}

// addLength takes a list of equal numbers too (RFC 9112 section 6.3, item 5).
func (f *headFields) addLength(value []byte) {
	for more := true; more; {
		var item []byte
		item, value, more = cut(value, ',')
		n, ok := parseDecimal(trimSpace(item))
		if !ok || f.hasLength && n != f.length {
			f.badLength = true
		}
		f.hasLength, f.length = true, n
	}
}

func parseDecimal(b []byte) (n int64, ok bool) {
	for _, x := range b {
		d := int64(x) - '0'
		if !isDigit(x) || n > (math.MaxInt64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(b) > 0
}

func (f *headFields) addCoding(value []byte) {
	f.coded = true
	if bytes.IndexByte(value, '"') >= 0 { // a comma in quotes separates nothing
		f.badCode = true
	}
	for more := true; more; {
		var item []byte
		item, value, more = cut(value, ',')
		if item = trimSpace(item); len(item) == 0 {
			continue
		}
		if f.last = strings.EqualFold(string(item), "chunked"); f.last {
			f.chunked++
		}
	}
}

// options are what matters here of a Connection header (RFC 9110 section 7.6.1).
type options struct{ close, keepAlive, upgrade bool }

func readOptions(list string) (o options) {
	for more := list != ""; more; {
		var item string
		item, list, more = strings.Cut(list, ",")
		switch item = strings.Trim(item, " \t"); len(item) {
		case len("close"):
			o.close = o.close || strings.EqualFold(item, "close")
		case len("upgrade"):
			o.upgrade = o.upgrade || strings.EqualFold(item, "upgrade")
		case len("keep-alive"):
			o.keepAlive = o.keepAlive || strings.EqualFold(item, "keep-alive")
		}
	}
	return o
}

// persist reports that the sender of a message with these lets its connection
// persist (RFC 9112 section 9.3).
func (o options) persist(version string) bool {
	return !o.close && (version != "HTTP/1.0" || o.keepAlive)
}
