package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A command is what its page in docs/reference/commands says of it; that page is made
// of the command tree.
type command struct {
	path  string
	flags map[string]bool // by "--name" and "-n": whether it takes a value
	group bool            // has commands below it
}

// commands are all, by path.
func commands(t *testing.T) map[string]*command {
	t.Helper()
	all := map[string]*command{}
	flag := regexp.MustCompile(`^ +(?:(-\w), )?(--[\w.-]+)( \S)?`)
	for _, p := range pages(t) {
		name, ok := strings.CutPrefix(p.name, "docs/reference/commands/kax")
		if !ok {
			continue
		}
		c := &command{
			path:  "kax" + strings.ReplaceAll(strings.TrimSuffix(name, ".md"), "-", " "),
			flags: map[string]bool{}, group: strings.Contains(p.text, "\n## Commands\n"),
		}
		for _, line := range p.blocks[len(p.blocks)-1].lines { // the last one is of flags
			if m := flag.FindStringSubmatch(line); m != nil {
				c.flags[m[2]] = m[3] != ""
				if m[1] != "" {
					c.flags[m[1]] = m[3] != ""
				}
			}
		}
		all[c.path] = c
	}
	if len(all) < 20 || !all["kax tcp sockets"].flags["--cut-by"] || !all["kax watch"].flags["-i"] {
		t.Fatalf("docs/reference/commands is not understood: %d commands", len(all))
	}
	return all
}

// What pages name is there: commands, their flags, topics.
func TestNames(t *testing.T) {
	all := commands(t)
	any := map[string]bool{}
	for _, c := range all {
		for name := range c.flags {
			any[name] = true
		}
	}
	for _, p := range pages(t) {
		texts := p.spans()
		for _, b := range p.blocks {
			if b.language == "console" {
				for _, s := range b.steps() {
					texts = append(texts, s.command)
				}
			}
		}
		for _, text := range texts {
			if strings.HasPrefix(text, "-") {
				if name, _, _ := strings.Cut(strings.Fields(text)[0], "="); len(name) > 1 && !any[name] {
					t.Errorf("%s: `%s`: no command has this flag; another program's stands behind its name", p.name, text)
				}
				continue
			}
			for _, line := range regexp.MustCompile(`[|;&\n]+`).Split(text, -1) {
				for _, wrong := range unknown(all, strings.TrimPrefix(strings.TrimSpace(line), "sudo ")) {
					t.Errorf("%s: `%s`: no %s", p.name, text, wrong)
				}
			}
		}
	}
}

// find is the command that a line begins with, and what follows its name.
func find(all map[string]*command, line string) (*command, []string) {
	words := strings.Fields(line)
	for n := len(words); n > 0; n-- {
		if c := all[strings.Join(words[:n], " ")]; c != nil {
			return c, words[n:]
		}
	}
	return nil, nil
}

// spans are the pieces of code in the prose of a page.
func (p *page) spans() (all []string) {
	for _, span := range code.FindAllString(strings.ReplaceAll(p.prose(), `\|`, "|"), -1) {
		all = append(all, strings.Join(strings.Fields(strings.Trim(span, "`")), " "))
	}
	return all
}

// inProse makes pages of the commands that stand in the prose of others as if to be
// typed, and are in no block: they run as the examples of that command do.
func inProse(t *testing.T, pages []*page) (more []*page) {
	t.Helper()
	all, ran, byName := commands(t), map[string]bool{}, map[string]*page{}
	for _, p := range pages {
		byName[p.name] = p
		for _, b := range p.blocks {
			for _, s := range b.steps() {
				ran[s.command] = ran[s.command] || b.runs()
			}
		}
	}
	made := map[*command]*page{}
	for _, p := range pages {
		for _, span := range p.spans() {
			c, args := find(all, span)
			if c == nil || len(args) == 0 || ran[span] || mentions(c, args) {
				continue
			}
			ran[span] = true
			if made[c] == nil {
				made[c] = &page{name: "prose/" + c.path, asRoot: true}
				more = append(more, made[c])
			}
			examples := byName["docs/reference/commands/"+strings.ReplaceAll(c.path, " ", "-")+".md"].blocks
			b := &block{line: 1, language: "console", lines: []string{"$ " + span}, notShown: true, terminal: 1}
			if len(made[c].blocks) == 0 {
				for _, example := range examples {
					if example.before != "" && b.before == "" {
						b.before = example.before
					}
				}
			}
			made[c].blocks = append(made[c].blocks, b)
		}
	}
	return more
}

// mentions reports that a line says which command or flag it is about, and cannot be
// typed: a placeholder, a flag without its value, or a pipe.
func mentions(c *command, args []string) bool {
	last := args[len(args)-1]
	return c.flags[last] || last == "--help" || slices.Contains(args, "|") || strings.Contains(last, "…") ||
		slices.ContainsFunc(args, regexp.MustCompile(`^\[?[A-Z][A-Z:|.\]-]*$`).MatchString)
}

// endless reports whether a command runs until ^C.
func endless(line string) bool {
	return regexp.MustCompile(`^kax (http serve|ui|watch|tcp dial|tcp listen)\b`).MatchString(line) &&
		!regexp.MustCompile(` (--for|-c|--tcpdump)\b`).MatchString(line)
}

// unknown is what a line names and kax lacks.
func unknown(all map[string]*command, line string) (wrong []string) {
	if !strings.HasPrefix(line, "kax ") {
		return nil
	}
	c, args := find(all, line)
	placeholder := regexp.MustCompile(`^[\[A-Z…]|^\.\.\.`)
	if c.group && len(args) > 0 && !strings.HasPrefix(args[0], "-") && !placeholder.MatchString(args[0]) {
		return []string{"command " + args[0]}
	}
	if c.path == "kax explain" && len(args) > 0 && args[0][0] >= 'a' && args[0][0] <= 'z' {
		if _, err := os.Stat(filepath.Join(root, "docs/reference", args[0]+".md")); err != nil {
			wrong = append(wrong, "topic "+args[0])
		}
	}
	for _, arg := range args {
		name, _, _ := strings.Cut(strings.Trim(arg, "[]`"), "=")
		if len(name) < 2 || name[0] != '-' || regexp.MustCompile(`^-\d`).MatchString(name) {
			continue
		}
		if _, ok := c.flags[name]; !ok {
			wrong = append(wrong, "flag "+name)
		}
	}
	return wrong
}

func TestUnknownNames(t *testing.T) {
	all := commands(t)
	for line, want := range map[string]string{
		"kax demo --no-reuse --list":        "",
		"kax demo --no-such":                "flag --no-such",
		"kax dmo":                           "command dmo",
		"kax tcp sokets":                    "command sokets",
		"kax tcp sockets --cut-by=350s":     "",
		"kax watch -i lo -x":                "flag -x",
		"kax tcp COMMAND":                   "",
		"kax explain flags":                 "",
		"kax explain flag":                  "topic flag",
		"curl --keepalive-time 3":           "",
		"kax http race http://a/ --step -1": "",
	} {
		if got := strings.Join(unknown(all, line), ", "); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}
