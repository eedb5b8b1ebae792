// Package hexdump reads packets out of text: what Wireshark, tshark, tcpdump,
// xxd, hexdump and od print, or digits alone.
package hexdump

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// A Packet is the bytes of one dump.
type Packet struct {
	Data []byte
	Line int // where its bytes begin, from 1
}

// Bounds on what is read.
const (
	maxPacket = 1 << 18 // bytes; capture programs take no more of a packet
	maxRepeat = 1 << 20 // bytes that rows stand for with "*", in all
	maxLine   = 1 << 22 // characters
)

// Error is a mistake in a dump. Line and Column count from 1.
type Error struct {
	Line, Column int
	Problem      string
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Problem)
}

// ErrEmpty says that there was no dump.
var ErrEmpty = errors.New("no hex digits")

// Read returns the packets of a text. Rows with offsets make a packet each time
// these begin at 0 anew, and other lines among them are passed over. Digits
// without offsets, in any grouping, make one packet up to an empty line. A mistake
// is an [*Error].
func Read(r io.Reader) ([]Packet, error) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	p := parser{}
	for in.Scan() {
		p.line++
		if err := p.add(strings.TrimSuffix(in.Text(), "\r")); err != nil {
			return nil, err
		}
	}
	switch err := in.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, p.wrong(0, "the line is longer than %d characters", maxLine)
	case err != nil:
		return nil, err
	}
	if p.stars {
		return nil, p.wrong(0, "the dump ends with *, and no offset says how often the row repeats")
	}
	p.end()
	switch {
	case len(p.packets) > 0:
		return p.packets, nil
	case p.unread != nil:
		return nil, p.unread
	}
	return nil, ErrEmpty
}

type parser struct {
	packets []Packet
	line    int
	data    []byte // of the packet that is being read
	begun   int    // its line
	style   style
	unread  *Error // the first line that made no sense, before there was a style
	almost  bool   // it begins with digits
	base    int    // of offsets without a colon; 0 until one tells
	row     []byte // the last one
	stars   bool   // "*": the row repeats up to the next offset
	repeats int    // bytes
	named   bool   // tshark has said which dump is the frame
	skip    bool   // this dump is not
	skips   bool   // the next one is not
}

// style is whether rows begin with offsets.
type style int

const (
	unknown style = iota
	offsets
	digits
)

func (p *parser) wrong(column int, format string, args ...any) *Error {
	return &Error{Line: p.line, Column: column + 1, Problem: fmt.Sprintf(format, args...)}
}

// end completes a packet.
func (p *parser) end() {
	if len(p.data) > 0 && !p.skip {
		p.packets = append(p.packets, Packet{p.data, p.begun})
	}
	p.data, p.row, p.stars, p.skip = nil, nil, false, false
}

func (p *parser) append(b []byte, column int) error {
	if len(p.data)+len(b) > maxPacket {
		return p.wrong(column, "a packet has no more than %d bytes", maxPacket)
	}
	if len(p.data) == 0 {
		p.begun = p.line
	}
	p.data = append(p.data, b...)
	return nil
}

var (
	// What an offset looks like: 0x0010: of tcpdump, 00000010: of xxd, and
	// without a colon where pairs of digits follow, or nothing.
	withColon = pattern(`^(?:0x)?([0-9a-fA-F]{3,16}):(?:\s|$)`)
	without   = pattern(`^([0-9a-fA-F]{3,16})(?:\s+[0-9a-fA-F]{2}(?:\s|$)|\s*$)`)
	first     = pattern(`^(?:0x)?([0-9a-fA-F]{3,16}):?(?:\s|$)`)
	// words are those of hexdump and od -x without options.
	words = pattern(`^0{6,7}(?:\s+[0-9a-fA-F]{4}){2}`)
	// caption names a dump, as tshark does where a frame has several.
	caption = pattern(`^([A-Z].*) \([0-9]+ bytes?\)(:?)$`)
)

// pattern compiles an expression when it is first used: a program that reads no
// dump does not wait for it.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

func (p *parser) add(line string) error {
	text := strings.TrimLeft(line, " \t")
	margin := len(line) - len(text)
	text = strings.TrimRight(text, " \t")
	if text == "" {
		if p.style == digits || !p.stars {
			p.end()
		}
		return nil
	}
	if p.style != digits {
		if value, n, ok := p.offset(text); ok {
			p.style = offsets
			return p.offsetRow(text, margin, value, n)
		}
		if text == "*" && len(p.row) > 0 {
			p.stars = true
			return nil
		}
		if words().MatchString(text) {
			return p.wrong(margin, "words in the byte order of the machine that printed them: use hexdump -C, or od -t x1")
		}
	}
	if p.style == offsets {
		return p.other(line)
	}
	b, err := p.digitsOf(text, margin)
	switch {
	case err == nil && p.almost:
		return p.unread
	case err == nil:
	case p.style == digits:
		return err
	default: // perhaps a line of text before rows
		if p.unread == nil {
			p.unread, p.almost = err, len(b) > 0
		}
		return p.other(line)
	}
	p.style = digits
	return p.append(b, margin)
}

// other passes over a line between dumps.
func (p *parser) other(line string) error {
	if p.stars {
		return p.wrong(0, "an offset must follow *, to say how often the row repeats")
	}
	p.end()
	p.skips = false
	if m := caption().FindStringSubmatch(line); m != nil {
		isFrame := m[1] == "Frame"
		p.named = p.named || isFrame
		p.skips = p.named && !isFrame || m[2] == "" // a field, which tshark -V dumps
	}
	return nil
}

// offset reads the number that a row begins with. Without a colon it might be
// data: it must then be 0 or the number of bytes so far, as a number to the base
// 16, 8 or 10.
func (p *parser) offset(text string) (value, length int, ok bool) {
	if m := withColon().FindStringSubmatchIndex(text); m != nil {
		v, err := strconv.ParseUint(text[m[2]:m[3]], 16, 32)
		return int(v), m[3] + 1, err == nil
	}
	if m := first().FindStringSubmatch(text); m != nil && len(p.data) > 0 && p.style == offsets {
		if v, err := strconv.ParseUint(m[1], 16, 32); err == nil && int(v) == len(p.data) && p.base%16 == 0 {
			return int(v), len(m[0]), true // whatever follows is a row, or a mistake in one
		}
	}
	m := without().FindStringSubmatch(text)
	if m == nil {
		return 0, 0, false
	}
	single := len(m[1]) == len(text)
	for _, base := range []int{16, 8, 10} {
		v, err := strconv.ParseUint(m[1], base, 32)
		if err != nil || p.base != 0 && base != p.base {
			continue
		}
		switch {
		case v == 0 && !single:
			return 0, len(m[1]), true
		case v != 0 && int(v) == len(p.data), p.stars && int(v) > len(p.data):
			p.base = base
			return int(v), len(m[1]), true
		}
	}
	// Of a dump, this can be nothing else than an offset that does not fit.
	if p.style == offsets && len(m[1]) > 3 && !single {
		if v, err := strconv.ParseUint(m[1], 16, 32); err == nil {
			return int(v), len(m[1]), true
		}
	}
	return 0, 0, false
}

// offsetRow reads a row after its offset, which is length characters long.
func (p *parser) offsetRow(text string, margin, value, length int) error {
	switch {
	case value == 0 && !p.stars:
		p.end()
		p.skip, p.skips = p.skips, false
	case p.stars && value > len(p.data):
		if err := p.repeat(value, margin); err != nil {
			return err
		}
	case value != len(p.data):
		return p.wrong(margin, "offset 0x%x, after %d bytes (0x%x)", value, len(p.data), len(p.data))
	}
	p.stars = false
	b, err := p.rowBytes(text[length:], margin+length)
	if err != nil {
		return err
	}
	p.row = b
	return p.append(b, margin)
}

// repeat fills up to an offset with the last row.
func (p *parser) repeat(to, column int) error {
	if to > maxPacket {
		return p.wrong(column, "a packet has no more than %d bytes", maxPacket)
	}
	if p.repeats += to - len(p.data); p.repeats > maxRepeat {
		return p.wrong(column, "more than %d bytes stand for repeated rows", maxRepeat)
	}
	for len(p.data) < to {
		p.data = append(p.data, p.row[:min(len(p.row), to-len(p.data))]...)
	}
	return nil
}

// rowBytes reads the pairs of digits of a row, up to the column that shows them
// as text: after a gap, a bar, or where the rest is just that text.
func (p *parser) rowBytes(s string, column int) ([]byte, error) {
	var out []byte
	for i := 0; ; {
		gap := 0
		for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
			i, gap = i+1, gap+1
		}
		rest := s[i:]
		switch {
		case rest == "", len(out) > 0 && rest[0] == '|', len(out) > 0 && rest[0] == '>':
			return out, nil
		case len(out) > 0 && gap > 1 && (len(out) != 8 || gap > 2): // hexdump -C halves its rows
			return out, nil
		case len(out) > 0 && shows(rest, out):
			return out, nil
		}
		token, _, _ := strings.Cut(rest, " ")
		b, at := pairs(token)
		if at >= 0 {
			if len(out) > 0 && len(token) != 2 && len(rest) <= len(out) || len(out) >= 16 {
				return out, nil // text that the dump shows in its own way
			}
			return nil, p.wrong(column+i+at, "%q where two hex digits are due", clipped(token[at:]))
		}
		out = append(out, b...)
		i += len(token)
	}
}

// shows reports whether text is how a dump shows b.
func shows(text string, b []byte) bool {
	if len(text) > len(b) || strings.TrimRight(string(shown(b)), " ") != text {
		return false
	}
	return true
}

func shown(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		if out[i] = c; c < ' ' || c > '~' {
			out[i] = '.'
		}
	}
	return out
}

// pairs reads pairs of digits without a gap; at is where they are none, or -1.
func pairs(token string) (b []byte, at int) {
	for i := 0; i < len(token); i += 2 {
		if i+2 > len(token) {
			return nil, i
		}
		v, err := strconv.ParseUint(token[i:i+2], 16, 8)
		if err != nil || token[i] == '+' {
			return nil, i
		}
		b = append(b, byte(v))
	}
	return b, -1
}

// digitsOf reads a line without an offset: digits in any grouping, each group
// perhaps after 0x or \x, with spaces, colons, commas or hyphens between them.
func (p *parser) digitsOf(text string, margin int) ([]byte, *Error) {
	var out []byte
	for i := 0; i < len(text); {
		if strings.ContainsRune(" \t:,;-", rune(text[i])) {
			i++
			continue
		}
		if rest := text[i:]; strings.HasPrefix(rest, "0x") || strings.HasPrefix(rest, "0X") || strings.HasPrefix(rest, `\x`) {
			i += 2
		}
		end := i
		for end < len(text) && !strings.ContainsRune(" \t:,;-\\", rune(text[end])) && (end == i || text[end] != 'x') {
			end++
		}
		b, at := pairs(text[i:end])
		if at >= 0 || end == i {
			at = max(at, 0)
			problem := "%q where two hex digits are due"
			if end-i-at == 1 && isDigit(text[i+at]) {
				return out, p.wrong(margin+i+at, "%q is half a byte", text[i+at:end])
			}
			return out, p.wrong(margin+i+at, problem, clipped(text[i+at:]))
		}
		out = append(out, b...)
		i = end
	}
	return out, nil
}

func isDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// clipped is enough of a text to find it by.
func clipped(s string) string {
	const most = 12
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
