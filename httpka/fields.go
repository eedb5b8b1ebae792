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
func (f *headFields) read(b []byte, fromServer bool, known *Familiar) (n int, err error) {
	*f = headFields{}
	name, control, first := otherField, false, true
	for {
		place := known.place(b[n:])
		if length := place.begins(b[n:]); length > 0 {
			n += length
			name, first = otherField, false
			continue
		}
		at := n + tokenLen(b[n:])
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0, err
		}
		line, next := trimCR(b[n:at+i]), at+i+1
		if len(line) == 0 {
			if control {
				err = fmt.Errorf("%w: CR or NUL in a field", ErrHead)
			}
			return next, err
		}
		// RFC 9112 section 2.2, RFC 9110 section 5.5: no NUL, and no CR by itself.
		control = control || bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0
		switch before := at - n; {
		case err != nil: // only the end is looked for
		case before > 0:
			name = nameOf(line[:before])
			value, ok := afterColon(line[before:], fromServer && name != lengthField && name != codingField)
			switch {
			case !ok:
				err = fmt.Errorf("%w: a line that is no field", ErrHead)
			case name != otherField:
				f.add(name, trimSpace(value))
			case !control && line[before] == ':': // right, whoever sends it
				place.keep(b[n:next])
			}
		case line[0] != ' ' && line[0] != '\t':
			err = fmt.Errorf("%w: a line that is no field", ErrHead)
		case first: // section 2.2
			err = fmt.Errorf("%w: space before the first field", ErrHead)
		default:
			f.fold(name, trimSpace(line))
		}
		n, first = next, false
	}
}

// afterColon cuts what stands behind a name at its colon. By RFC 9112 section
// 5.1 space before it is an error in a request, and removed from a response.
// There recipients differ about it, so that it must not say where the message
// ends.
func afterColon(b []byte, lenient bool) ([]byte, bool) {
	for lenient && len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	if len(b) == 0 || b[0] != ':' {
		return nil, false
	}
	return b[1:], true
}

func nameOf(b []byte) fieldName {
	switch {
	case equalFold(b, "upgrade"):
		return upgradeField
	case equalFold(b, "connection"):
		return connectionField
	case equalFold(b, "keep-alive"):
		return keepAliveField
	case equalFold(b, "content-length"):
		return lengthField
	case equalFold(b, "transfer-encoding"):
		return codingField
	}
	return otherField
}

// equalFold compares what has no controls with a lower-case word of letters and
// hyphens: nothing else becomes one of these by the bit that is the case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, x := range b {
		if x|0x20 != lower[i] {
			return false
		}
	}
	return true
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

func readOptions(list []byte) (o options) {
	for more := len(list) > 0; more; {
		var item []byte
		item, list, more = cut(list, ',')
		switch item = trimSpace(item); {
		case equalFold(item, "keep-alive"):
			o.keepAlive = true
		case equalFold(item, "close"):
			o.close = true
		case equalFold(item, "upgrade"):
			o.upgrade = true
		}
	}
	return o
}

// persist reports that the sender of a message with these lets its connection
// persist (RFC 9112 section 9.3).
func (o options) persist(version string) bool {
	return !o.close && (version != "HTTP/1.0" || o.keepAlive)
}
