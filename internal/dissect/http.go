package dissect

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Start lines (RFC 9112 sections 3 and 4), whole ones. Only methods that are in
// use count: a segment may begin in the middle of one.
var (
	requestLine = pattern(`^(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PROPFIND|PROPPATCH|MKCOL|COPY|MOVE|LOCK|UNLOCK|` +
		`REPORT|SEARCH|NOTIFY|SUBSCRIBE|UNSUBSCRIBE|M-SEARCH|PURGE) ([^ \r\n]+) (HTTP/[0-9]\.[0-9])\r?\n`)
	responseLine = pattern(`^(HTTP/[0-9]\.[0-9]) ([0-9]{3})(?: ([^\r\n]*))?\r?\n`)
)

// pattern compiles an expression when it is first used: a program that takes no
// packet apart does not wait for it.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// http shows the head of an HTTP message, if one begins at offset.
func (d *dissector) http(at, end int) {
	b := d.frame[at:end]
	request, response := requestLine().FindSubmatchIndex(b), responseLine().FindSubmatchIndex(b)
	if request == nil && response == nil {
		return
	}
	d.protocol("http")
	head := bytes.Index(b, []byte("\r\n\r\n")) + 4
	if head < 4 {
		head = len(b)
	}
	l := &d.layer("http", at, head, "Hypertext Transfer Protocol").Field
	m, labels := request, []string{"Request Method", "Request URI", "Request Version"}
	if m == nil {
		m, labels = response, []string{"Response Version", "Status Code", "Response Phrase"}
	}
	f := d.add(l, at, m[1], "%s", printable(b[:m[1]]))
	for i, label := range labels {
		if from, to := m[2*i+2], m[2*i+3]; from >= 0 {
			d.add(f, at+from, to-from, "%s: %s", label, printable(b[from:to]))
		}
	}
	for from := m[1]; from < head; {
		n := bytes.IndexByte(b[from:head], '\n') + 1
		if n == 0 { // the rest is in another frame
			n = head - from
		}
		d.add(l, at+from, n, "%s", printable(b[from:from+n]))
		from += n
	}
}

// printable spells out what is no text, with C's escapes.
func printable(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case strings.ContainsRune("\a\b\f\n\r\t\v", r):
			out.WriteString(map[rune]string{'\a': `\a`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\v': `\v`}[r])
		case r == utf8.RuneError && n == 1, !unicode.IsPrint(r):
			for _, c := range b[:n] {
				fmt.Fprintf(&out, `\%03o`, c)
			}
		default:
			out.WriteRune(r)
		}
		b = b[n:]
	}
	return out.String()
}
