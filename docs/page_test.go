// Package docs_test runs what README and docs show: each page in order, as its
// reader would, and compares what comes with what is shown. CONTRIBUTING.md says
// how a page is written.
package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is the tree's.
const root = ".."

// A page is a Markdown file.
type page struct {
	name   string // from the root of the tree
	text   string
	needs  []string // programs, or "root", or "clone"
	asRoot bool     // its commands run as root of its network
	blocks []*block
}

// A block is a fenced one, with the comments that stand above it.
type block struct {
	line     int    // of the fence, from 1
	language string // the fence's
	indent   string
	lines    []string
	notRun   string // why
	before   string // what a shell runs before it, unseen
	file     string // what the reader saves it as
	varies   []string
	omits    bool // a line "..." stands for others
	notShown bool // the output is not in the block
	terminal int  // from 1
}

// runs reports whether the test runs the block.
func (b *block) runs() bool { return b.language == "console" && b.notRun == "" }

// pages are README, CONTRIBUTING and all of docs.
func pages(t *testing.T) []*page {
	t.Helper()
	names := []string{"README.md", "CONTRIBUTING.md"}
	err := fs.WalkDir(os.DirFS(root), "docs", func(name string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".md") && !strings.Contains(name, "testdata") {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []*page
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		p, err := parse(name, string(text))
		if err != nil {
			t.Error(err)
			continue
		}
		all = append(all, p)
	}
	return all
}

var (
	fence   = regexp.MustCompile("^( *)(```+) *(\\S*)")
	comment = regexp.MustCompile(`(?s)^ *<!-- *(.*?)\s*-->\s*$`)
)

// parse finds the blocks of a page and what the comments above them say.
func parse(name, text string) (*page, error) {
	p := &page{name: name, text: text}
	var above []string // comments since the last line that is none
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := i + 1
		if strings.HasPrefix(strings.TrimSpace(lines[i]), "<!--") {
			last := i
			for last < len(lines)-1 && !strings.Contains(lines[last], "-->") {
				last++
			}
			m := comment.FindStringSubmatch(strings.Join(lines[i:last+1], "\n"))
			if m == nil {
				return nil, fmt.Errorf("%s:%d: a comment that has no end, or text behind it", name, line)
			}
			above, i = append(above, m[1]), last
			continue
		}
		m := fence.FindStringSubmatch(lines[i])
		b := &block{line: line, terminal: 1}
		if m != nil {
			b.indent, b.language = m[1], m[3]
		}
		for _, c := range above {
			if known, err := p.note(b, c); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, line, err)
			} else if m != nil && !known {
				return nil, fmt.Errorf("%s:%d: the comment above it says %q, which means nothing to the test", name, line, c)
			}
		}
		if m == nil && (b.notRun != "" || b.before != "" || b.file != "" || b.varies != nil || b.omits || b.notShown || b.terminal != 1) {
			return nil, fmt.Errorf("%s:%d: the comment above this line stands above no block", name, line)
		}
		above = nil
		if m == nil {
			continue
		}
		for i++; i < len(lines) && strings.TrimSpace(lines[i]) != m[2]; i++ {
			b.lines = append(b.lines, strings.TrimPrefix(lines[i], b.indent))
		}
		if i == len(lines) {
			return nil, fmt.Errorf("%s:%d: a block without an end", name, line)
		}
		p.blocks = append(p.blocks, b)
	}
	return p, nil
}

// note takes one comment, and reports whether it means something here.
func (p *page) note(b *block, text string) (known bool, err error) {
	word, rest, _ := strings.Cut(text, ":")
	rest = strings.TrimSpace(rest)
	terminal, isTerminal := strings.CutPrefix(word, "terminal ")
	switch {
	case text == "as root":
		p.asRoot = true
	case word == "needs":
		p.needs = append(p.needs, list(rest)...)
	case word == "not run":
		b.notRun = rest
	case word == "before":
		b.before = rest
	case word == "file":
		b.file = rest
	case word == "varies":
		b.varies = append(b.varies, list(rest)...)
	case word == "omits":
		b.omits = true
	case text == "output not shown":
		b.notShown = true
		return true, nil
	case isTerminal:
		b.terminal, err = strconv.Atoi(terminal)
		return true, err
	default:
		return false, nil
	}
	if rest == "" && text != "as root" {
		return true, fmt.Errorf("%q says nothing", text)
	}
	return true, nil
}

func list(text string) []string {
	if strings.HasPrefix(text, "/") { // a pattern may hold commas
		return []string{text}
	}
	words := strings.Split(text, ",")
	for i := range words {
		words[i] = strings.TrimSpace(words[i])
	}
	return words
}

// A step is a command and the output that is shown of it; without a command it is
// more output of the one that runs in that terminal.
type step struct {
	line    int
	command string
	shown   shown
	stopped bool // ^C
	after   shown
}

// shown is output as a page shows it: lines, the first of which is at line.
type shown struct {
	line  int
	lines []string
}

// steps takes a console block apart. A command stands behind "$ ", and goes on
// behind "> " where a shell would ask for more.
func (b *block) steps() (all []*step) {
	for i := 0; i < len(b.lines); i++ {
		line := b.line + 1 + i
		command, is := strings.CutPrefix(b.lines[i], "$ ")
		if !is && b.lines[i] == "$" {
			continue // the prompt after a command that has ended
		}
		if is {
			for i+1 < len(b.lines) && strings.HasPrefix(b.lines[i+1], ">") && unfinished(command) {
				i++
				command += "\n" + strings.TrimPrefix(strings.TrimPrefix(b.lines[i], ">"), " ")
			}
			all = append(all, &step{line: line, command: command, shown: shown{line: b.line + 2 + i}})
			continue
		}
		if len(all) == 0 {
			all = append(all, &step{line: line, shown: shown{line: line}})
		}
		s := all[len(all)-1]
		switch {
		case b.lines[i] == "^C":
			s.stopped, s.after.line = true, line+1
		case s.stopped:
			s.after.lines = append(s.after.lines, b.lines[i])
		default:
			s.shown.lines = append(s.shown.lines, b.lines[i])
		}
	}
	return all
}

var heredoc = regexp.MustCompile(`<<-?\s*['"]?(\w+)`)

// unfinished reports whether a shell would ask for another line.
func unfinished(command string) bool {
	if m := heredoc.FindStringSubmatch(command); m != nil {
		return !slices.Contains(strings.Split(command, "\n"), m[1])
	}
	trimmed := strings.TrimSpace(command)
	for _, end := range []string{`\`, "|", "&&"} {
		if strings.HasSuffix(trimmed, end) {
			return true
		}
	}
	return strings.Count(command, "'")%2 == 1 || strings.Count(command, `"`)%2 == 1
}

// What a page says to the test has to mean something.
func TestParse(t *testing.T) {
	const block = "\n```console\n$ kax demo\n```\n"
	for text, want := range map[string]string{
		"<!-- varies: times -->" + block:                                              "",
		"<!-- anything else -->\n\nText.\n" + block:                                   "",
		"<!-- varys: times -->" + block:                                               "means nothing to the test",
		"<!-- varies: times -->\n\nText.\n" + block:                                   "stands above no block",
		"<!-- not run: -->" + block:                                                   "says nothing",
		"<!-- terminal two -->" + block:                                               "invalid syntax",
		"<!-- varies: times" + block:                                                  "no end",
		"```console\n$ kax demo\n":                                                    "a block without an end",
		"- a list\n\n  <!-- omits: x -->\n  ```console\n  $ kax demo\n  ...\n  ```\n": "",
	} {
		_, err := parse("page.md", text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
