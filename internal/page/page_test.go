package page_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"kax/docs/reference"
	"kax/internal/page"
)

func TestText(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"headings and paragraphs", "# A `b` c\n\nOne two three\nfour five six.\n\n## D\n\nE.\n", "A b c\n\nOne two three four\nfive six.\n\nD\n\nE.\n"},
		{"comments", "A.\n\n<!-- not\nseen -->\n\nB.\n", "A.\n\nB.\n"},
		{"marks", "**A** [b](c.md#d), `e_f*`, g\\_h \\| i.\n", "A b, e_f*, g_h | i.\n"},
		{"code", "A:\n\n```console\n$ kax demo --a-long-flag-and-more\n\n  b\n```\n\nC.\n", "A:\n\n    $ kax demo --a-long-flag-and-more\n\n      b\n\nC.\n"},
		{"list", "A:\n\n- one two three four five\n- b\n\n1. c\n   d\n2. e\n\nF.\n", "A:\n\n- one two three four\n  five\n- b\n1. c d\n2. e\n\nF.\n"},
		{"table", "| a | b |\n|---|---|\n| c | `d` |\n| e \\| f | g |\n", "a      b\n────────\nc      d\ne | f  g\n"},
		{"table that breaks", "| a | b |\n|---|---|\n| c | one two three four five |\n| d | e |\n", "a  b\n────────────────────\nc  one two three\n   four five\n\nd  e\n"},
		{"table with long words", "| a | b |\n|---|---|\n| c | abcdefghijklmnopqrstuvwxyz |\n", "a  b\n────────────────────\nc  abcdefghijklmnopq\n   rstuvwxyz\n"},
		{"table without titles", "| | a |\n|---|---|\n| b | c |\n", "   a\n────\nb  c\n"},
	} {
		if got := page.Text(tt.in, 20, nil); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
	bold := func(s string) string { return "<" + s + ">" }
	if got := page.Text("# A\n\nB.\n", 20, bold); got != "<A>\n\nB.\n" {
		t.Errorf("heading: %q", got)
	}
}

// The reference fits a terminal, and loses no word there.
func TestReferenceFits(t *testing.T) {
	for _, topic := range reference.Topics() {
		for _, width := range []int{60, 80, 100} {
			got := page.Text(topic.Text, width, nil)
			for line := range strings.Lines(got) {
				line = strings.TrimSuffix(line, "\n")
				if n := utf8.RuneCountInString(line); n > width && !strings.HasPrefix(line, "    ") {
					t.Errorf("%s, %d columns: %d: %s", topic.Name, width, n, line)
				}
			}
			if i := strings.IndexAny(got, "`\\"); i >= 0 && topic.Name != "records" {
				t.Errorf("%s: a mark is left: %s", topic.Name, got[i:min(i+40, len(got))])
			}
			for word := range strings.FieldsFuncSeq(topic.Title, func(r rune) bool { return r == ' ' }) {
				if !strings.Contains(got, word) {
					t.Errorf("%s: no %q", topic.Name, word)
				}
			}
		}
	}
}

func FuzzText(f *testing.F) {
	for _, topic := range reference.Topics() {
		f.Add(topic.Text, 80)
	}
	f.Add("|", 20)
	f.Add("```", 20)
	f.Add("- ", 0)
	f.Fuzz(func(t *testing.T, in string, width int) {
		page.Text(in, width%200, nil)
	})
}
