// Package page writes Markdown as text for a terminal: as much of it as the
// project's own pages use.
package page

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Text returns a page for a terminal that is so many columns wide. Headings pass
// through heading, which may make them stand out; nil leaves them as they are.
// Comments are left out, links leave their text, and tables are set in columns
// whose cells break as need be. Lines of code are not broken.
func Text(markdown string, width int, heading func(string) string) string {
	w := writer{width: max(width, 20), heading: heading}
	if heading == nil {
		w.heading = func(s string) string { return s }
	}
	lines := strings.Split(comment.ReplaceAllString(markdown, ""), "\n")
	for i := 0; i < len(lines); {
		i += w.block(lines[i:])
	}
	return strings.TrimLeft(w.b.String(), "\n")
}

var (
	comment = regexp.MustCompile(`(?s)<!--.*?-->\n?`)
	item    = regexp.MustCompile(`^([-*]|\d+\.) +(.*)$`)
	// Code first: what is in it stands for itself.
	inlines = regexp.MustCompile("`([^`]*)`" + `|\[([^\]]*)\]\([^)]*\)|\\([[:punct:]])|\*\*?([^*]+)\*\*?`)
)

// inline takes the marks out of a text.
func inline(text string) string { return inlines.ReplaceAllString(text, "$1$2$3$4") }

type writer struct {
	b       strings.Builder
	width   int
	heading func(string) string
	list    bool // the last block was an item
}

// block writes the block that lines begin with, and returns how many it has.
func (w *writer) block(lines []string) int {
	first, list := lines[0], w.list
	// until counts lines up to one that ends the block.
	until := func(end func(string) bool) int {
		n := 1
		for n < len(lines) && !end(lines[n]) {
			n++
		}
		return n
	}
	w.list = false
	switch {
	case first == "":
		w.list = list && len(lines) > 1 && item.MatchString(lines[1])
		return 1
	case strings.HasPrefix(first, "#"):
		w.lines("", w.heading(inline(strings.TrimLeft(first, "# "))))
		return 1
	case strings.HasPrefix(first, "```"):
		n := until(func(s string) bool { return strings.HasPrefix(s, "```") })
		w.lines("")
		for _, line := range lines[1:n] {
			w.lines("    " + line)
		}
		return n + 1
	case strings.HasPrefix(first, "|"):
		n := until(func(s string) bool { return !strings.HasPrefix(s, "|") })
		w.lines("")
		w.lines(table(lines[:n], w.width)...)
		return n
	}
	n := until(func(s string) bool {
		return s == "" || strings.HasPrefix(s, "#") || strings.HasPrefix(s, "|") || strings.HasPrefix(s, "```") || item.MatchString(s)
	})
	text, mark := strings.Join(lines[:n], " "), ""
	if m := item.FindStringSubmatch(text); m != nil {
		text, mark, w.list = m[2], m[1]+" ", true
	}
	if !list || !w.list {
		w.lines("")
	}
	for i, line := range wrap(inline(text), w.width-len(mark)) {
		if i > 0 {
			mark = strings.Repeat(" ", len(mark))
		}
		w.lines(mark + line)
	}
	return n
}

func (w *writer) lines(lines ...string) {
	for _, line := range lines {
		w.b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// wrap breaks a text at its spaces. A word that is too long stays whole.
func wrap(text string, width int) (lines []string) {
	for word := range strings.FieldsSeq(text) {
		last := len(lines) - 1
		if last >= 0 && size(lines[last])+1+size(word) <= width {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// hard breaks words, too.
func hard(lines []string, width int) (out []string) {
	width = max(width, 1)
	for _, line := range lines {
		runes := []rune(line)
		for len(runes) > width {
			out = append(out, string(runes[:width]))
			runes = runes[width:]
		}
		out = append(out, string(runes))
	}
	return out
}

func size(s string) int { return utf8.RuneCountInString(s) }

// table sets rows in columns, the first of which are the titles. Where they do not
// fit, the widest columns give way: as far as their longest words allow, and then
// words break.
func table(rows []string, width int) (lines []string) {
	const gap = 2
	var cells [][]string
	for i, row := range rows {
		if i != 1 { // the line of dashes
			cells = append(cells, split(row))
		}
	}
	columns := len(cells[0])
	widths, least := make([]int, columns), make([]int, columns)
	for _, row := range cells {
		for i := range min(columns, len(row)) {
			widths[i] = max(widths[i], size(row[i]))
			for word := range strings.FieldsSeq(row[i]) {
				least[i] = max(least[i], size(word))
			}
		}
	}
	for sum(widths)+gap*(columns-1) > width {
		widest := -1
		for i := range widths {
			if widths[i] > least[i] && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			widest = slices.Index(widths, slices.Max(widths))
			if widths[widest] <= 1 {
				break // more columns than there is room for
			}
			least[widest] = widths[widest] - 1
		}
		widths[widest]--
	}
	broken := false
	for r, row := range cells {
		var wrapped [][]string
		height := 1
		for i := range min(columns, len(row)) {
			wrapped = append(wrapped, hard(wrap(row[i], widths[i]), widths[i]))
			height = max(height, len(wrapped[i]))
		}
		if broken = broken || height > 1; broken && r > 1 {
			lines = append(lines, "") // or rows could not be told apart
		}
		for l := range height {
			var line strings.Builder
			for i, cell := range wrapped {
				text := ""
				if l < len(cell) {
					text = cell[l]
				}
				line.WriteString(text + strings.Repeat(" ", max(widths[i]-size(text), 0)+gap))
			}
			lines = append(lines, line.String())
		}
		if r == 0 {
			lines = append(lines, strings.Repeat("─", min(width, sum(widths)+gap*(columns-1))))
		}
	}
	return lines
}

// split takes a row apart; an escaped bar is text.
func split(row string) []string {
	row = strings.Trim(strings.ReplaceAll(row, `\|`, "\x00"), "|")
	cells := strings.Split(row, "|")
	for i := range cells {
		cells[i] = inline(strings.TrimSpace(strings.ReplaceAll(cells[i], "\x00", `\|`)))
	}
	return cells
}

func sum(numbers []int) (total int) {
	for n := range slices.Values(numbers) {
		total += n
	}
	return total
}
