package view

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes text from the network safe for a terminal: control characters,
// escape sequences, direction marks and bytes that are not UTF-8 are spelled
// out, as in \x1b and \u202e.
func Clean(s string) string {
	if plainText(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1, r < utf8.RuneSelf && !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r > 0xffff && !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// plainText reports that s is printable ASCII, which is nearly always so.
func plainText[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// cut shortens s to width columns.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:max(width-1, 0)]) + "…"
}

// pad fills s up to width columns, or cuts it to them.
func pad(s string, width int) string {
	s = cut(s, width)
	return s + strings.Repeat(" ", width-utf8.RuneCountInString(s))
}

// wrap puts pieces into lines of at most width columns. A longer piece is broken
// at its spaces, a longer word cut.
func wrap(pieces []string, sep string, width int) []string {
	var lines []string
	for _, w := range pieces {
		if words := strings.Fields(w); len(words) > 1 && utf8.RuneCountInString(w) > width {
			lines = append(lines, wrap(words, " ", width)...)
			continue
		}
		w = cut(w, width)
		last := len(lines) - 1
		if last >= 0 && utf8.RuneCountInString(lines[last]+sep+w) <= width {
			lines[last] += sep + w
			continue
		}
		lines = append(lines, w)
	}
	return lines
}

// Shorten cuts a line to width columns.
func Shorten(line string, width int) string { return cut(line, width) }
