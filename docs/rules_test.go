package docs_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// What runs is in a console block. What cannot run says why.
func TestBlocks(t *testing.T) {
	all, notRun := 0, map[string]int{}
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			where := fmt.Sprintf("%s:%d", p.name, b.line)
			switch {
			case b.language == "console":
				all++
				if b.notRun != "" {
					notRun[b.notRun]++
				} else if len(b.steps()) == 0 {
					t.Errorf("%s: a console block without a command", where)
				}
			case !slices.Contains([]string{"go", "json", "text"}, b.language):
				t.Errorf("%s: language %q; commands are in console blocks, anything else is go, json or text", where, b.language)
			case slices.ContainsFunc(b.lines, func(s string) bool { return strings.HasPrefix(s, "$ ") }):
				t.Errorf("%s: a command in a block of %s", where, b.language)
			}
		}
		for i, line := range unlisted(p) {
			if line != "" {
				t.Errorf("%s:%d: a block that is not fenced", p.name, i+1)
			}
		}
	}
	sum := 0
	for _, why := range slices.Sorted(maps.Keys(notRun)) {
		t.Logf("%d not run: %s", notRun[why], why)
		sum += notRun[why]
	}
	t.Logf("%d of %d console blocks are not run", sum, all)
}

// unlisted are the lines that are code by their indentation alone: four spaces, and
// not in a list or a block.
func unlisted(p *page) map[int]string {
	found := map[int]string{}
	lines := strings.Split(p.text, "\n")
	inBlock := func(i int) bool {
		return slices.ContainsFunc(p.blocks, func(b *block) bool { return b.line <= i+1 && i < b.line+len(b.lines)+1 })
	}
	inList, inComment := false, false
	item := regexp.MustCompile(`^\s*([-*]|\d+\.) `)
	for i, line := range lines {
		if strings.HasPrefix(line, "<!--") {
			inComment = true
		}
		switch {
		case inComment, inBlock(i):
		case item.MatchString(line):
			inList = true
		case line != "" && !strings.HasPrefix(line, " "):
			inList = false
		case !inList && strings.HasPrefix(line, "    ") && i > 0 && strings.TrimSpace(lines[i-1]) == "":
			found[i] = line
		}
		if strings.Contains(line, "-->") {
			inComment = false
		}
	}
	return found
}

var (
	link    = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	code    = regexp.MustCompile("`[^`]+`")
)

// prose is a page without its blocks and comments.
func (p *page) prose() string {
	lines := strings.Split(p.text, "\n")
	for _, b := range p.blocks {
		for i := b.line - 1; i < b.line+len(b.lines)+1; i++ {
			lines[i] = ""
		}
	}
	return regexp.MustCompile(`(?s)<!--.*?-->`).ReplaceAllString(strings.Join(lines, "\n"), "")
}

// anchor is what GitHub makes of a heading.
func anchor(title string) string {
	title = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(title, "$1")
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(title)) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Links lead somewhere.
func TestLinks(t *testing.T) {
	anchors := map[string][]string{}
	for _, p := range pages(t) {
		for _, m := range heading.FindAllStringSubmatch(p.prose(), -1) {
			a := anchor(m[1])
			for n := 1; slices.Contains(anchors[p.name], a); n++ {
				a = fmt.Sprintf("%s-%d", anchor(m[1]), n)
			}
			anchors[p.name] = append(anchors[p.name], a)
		}
	}
	n := 0
	for _, p := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(p.prose(), "code"), -1) {
			target := m[1]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			n++
			file, part, _ := strings.Cut(target, "#")
			name := p.name
			if file != "" {
				name = filepath.ToSlash(filepath.Join(filepath.Dir(p.name), file))
				if _, err := os.Stat(filepath.Join(root, name)); err != nil {
					t.Errorf("%s: link %s: %v", p.name, target, err)
				}
			}
			if part != "" && !slices.Contains(anchors[name], part) {
				t.Errorf("%s: link %s: %s has no such heading", p.name, target, name)
			}
		}
	}
	if n == 0 {
		t.Error("no links")
	}
}

// Where a sentence says how long something of the world takes, its paragraph has
// the year of a source, or leads to the table that has them.
func TestSourcesInProse(t *testing.T) {
	worlds := regexp.MustCompile(`\b(nginx|Apache|AWS|Azure|GCP|Linux|Node\.js|gunicorn|uvicorn|Envoy|HAProxy|gRPC|Windows|macOS|FreeBSD|Go's|package net|curl|Cisco)\b`)
	duration := regexp.MustCompile(`\b[\d.,]+ (ms|s|min|h|days?|hours?|minutes?|seconds?)\b`)
	year := regexp.MustCompile(`\b(19|20)\d\d\b`)
	table := regexp.MustCompile(`timeouts\.md|kax explain timeouts|kax tcp plan`)
	n := 0
	for _, p := range pages(t) {
		for paragraph := range strings.SplitSeq(p.prose(), "\n\n") {
			if strings.HasPrefix(paragraph, "|") || p.name == "docs/performance.md" { // has its own figures
				continue
			}
			for _, sentence := range regexp.MustCompile(`[.:;]\s`).Split(paragraph, -1) {
				if strings.HasPrefix(sentence, "About") || !worlds.MatchString(sentence) || !duration.MatchString(sentence) {
					continue
				}
				if n++; !year.MatchString(paragraph) && !table.MatchString(paragraph) {
					t.Errorf("%s: no year: %s", p.name, sentence)
				}
			}
		}
	}
	if n < 10 {
		t.Errorf("%d sentences", n)
	}
}

// Where a table names sources, each of its rows has a year.
func TestSources(t *testing.T) {
	n := 0
	for _, p := range pages(t) {
		sources := false
		for line := range strings.Lines(p.prose()) {
			switch isRow := strings.HasPrefix(line, "|"); {
			case !isRow:
				sources = false
			case regexp.MustCompile(`\| (source|by which document)`).MatchString(line):
				sources = true
			case sources && !strings.HasPrefix(line, "|---"):
				if n++; !regexp.MustCompile(`\b(19|20)\d\d\b`).MatchString(line) {
					t.Errorf("%s: no year: %s", p.name, line)
				}
			}
		}
	}
	if n < 40 {
		t.Errorf("%d rows with a source", n)
	}
}
