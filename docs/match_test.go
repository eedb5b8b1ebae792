package docs_test

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A class is what may vary in shown output, by the name that a page calls it by.
// What find finds in the shown text may be anything that fits.
type class struct {
	find *regexp.Regexp
	is   func(string) bool // further, of what was found; or nil
	fits string
	// A port may stand behind a point, as tcpdump writes them.
	behindPoint bool
}

// classes are written down in CONTRIBUTING.md.
func classes() map[string]class {
	const (
		moment = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z|\d\d:\d\d:\d\d(?:\.\d+)?`
		number = `\d+(?:\.\d+)?`
		unit   = `(?: (?:ns|µs|ms|s|min|h)\b)`
	)
	ephemeral := func(s string) bool { // net.ipv4.ip_local_port_range
		n, err := strconv.Atoi(s)
		return err == nil && n >= 32768 && n <= 60999
	}
	noAddress := func(s string) bool { _, err := netip.ParseAddr(s); return err != nil }
	return map[string]class{
		// As kax measures them: with a space before the unit, or bare with a point.
		// Those that were chosen, as 4s or 1m30s, do not vary.
		"times":            {regexp.MustCompile(moment + `|` + number + unit + `|\d+\.\d+`), nil, moment + `|` + number + unit + `?`, false},
		"ports":            {regexp.MustCompile(`\d{5}`), ephemeral, `\d{5}`, true},
		"sequence numbers": {regexp.MustCompile(`\d{6,10}`), nil, `\d{1,10}`, false},
		"process numbers":  {regexp.MustCompile(`(?:pid[= ]|process |\[)\d+`), nil, `(?:pid[= ]|process |\[)\d+`, false},
		"counts":           {regexp.MustCompile(`\d+`), nil, `\d+`, false},
		"versions":         {regexp.MustCompile(`\(?devel\)?|v?\d+\.\d+\.\d+[-+\w.]*|go1[.\d]+`), noAddress, `\(?devel\)?|v?\d+\.\d+\.\d+[-+\w.]*|go1[.\d]+`, false},
	}
}

// A matcher makes patterns of shown lines.
type matcher struct {
	classes []class
	names   []string
	used    []bool
}

func newMatcher(varies []string) (*matcher, error) {
	m := &matcher{names: varies, used: make([]bool, len(varies))}
	known := classes()
	for _, name := range varies {
		if inner, ok := strings.CutPrefix(name, "/"); ok && strings.HasSuffix(inner, "/") {
			inner = strings.TrimSuffix(inner, "/")
			find, err := regexp.Compile(inner)
			if err != nil {
				return nil, fmt.Errorf("varies: %w", err)
			}
			m.classes = append(m.classes, class{find, nil, inner, true})
			continue
		}
		c, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("varies: %q is none of %q, and no /pattern/", name, slices.Sorted(maps.Keys(known)))
		}
		m.classes = append(m.classes, c)
	}
	return m, nil
}

// line is the pattern of a shown line. Where something varies, so may the spaces
// that align it.
func (m *matcher) line(whole string) *regexp.Regexp {
	text := strings.TrimLeft(whole, " ")
	var b strings.Builder
	b.WriteString("^ *")
	varied := false
	for at := 0; at < len(text); {
		if n, fits := m.at(text, at); n > 0 {
			b.WriteString("(?:" + fits + ")")
			varied = true
			at += n
			continue
		}
		if n := len(text[at:]) - len(strings.TrimLeft(text[at:], " ")); n > 0 {
			b.WriteString(" +")
			at += n
			continue
		}
		size := len(string([]rune(text[at:])[0]))
		b.WriteString(regexp.QuoteMeta(text[at : at+size]))
		at += size
	}
	if !varied {
		return regexp.MustCompile("^" + regexp.QuoteMeta(whole) + "$")
	}
	return regexp.MustCompile(b.String() + "$")
}

// at is how long a text is that begins there and may vary, and what it may be.
func (m *matcher) at(text string, at int) (int, string) {
	if at > 0 && word(text[at-1]) && word(text[at]) {
		return 0, ""
	}
	for i, c := range m.classes {
		found := c.find.FindStringIndex(text[at:])
		if found == nil || found[0] != 0 || found[1] == 0 {
			continue
		}
		end := at + found[1]
		if custom := strings.HasPrefix(m.names[i], "/"); !custom {
			if end < len(text) && word(text[end]) || end+1 < len(text) && text[end] == '.' && word(text[end+1]) {
				continue // a part of something longer
			}
			if at > 1 && text[at-1] == '.' && word(text[at-2]) && !c.behindPoint {
				continue
			}
			if c.is != nil && !c.is(text[at:end]) {
				continue
			}
		}
		m.used[i] = true
		return found[1], c.fits
	}
	return 0, ""
}

func word(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// A mismatch is where output is not as shown.
type mismatch struct {
	line int // of the page
	want string
	got  string
}

// none is where there is no line.
const none = "(no more)"

func (m *mismatch) Error() string {
	return fmt.Sprintf("line %d: shown, and did not come: %q\nwhat came there: %q", m.line, m.want, m.got)
}

// match compares shown output with what came. All of got has to be shown, unless
// it is open: more may follow. It returns how many lines of got are accounted for.
func (m *matcher) match(want shown, omits, open bool, got []string) (int, error) {
	wanted, wantEnds := paragraphs(want.lines)
	got, ends := paragraphs(got)
	patterns := make([]*regexp.Regexp, len(wanted)) // nil: any lines
	for i, line := range wanted {
		if omits && (strings.TrimSpace(line) == "..." || strings.TrimSpace(line) == "…") {
			continue
		}
		patterns[i] = m.line(line)
	}
	furthest, at := -1, 0
	var fit func(w, g int) (int, bool)
	fit = func(w, g int) (int, bool) {
		if w > furthest {
			furthest, at = w, g
		}
		switch {
		case w == len(patterns):
			return g, open || g == len(got)
		case patterns[w] == nil:
			for ; g <= len(got); g++ {
				if n, ok := fit(w+1, g); ok {
					return n, true
				}
			}
			return 0, false
		case g == len(got) || !patterns[w].MatchString(got[g]):
			return 0, false
		}
		return fit(w+1, g+1)
	}
	n, ok := fit(0, 0)
	if ok {
		return ends[n], nil
	}
	bad := &mismatch{line: want.line + wantEnds[furthest], want: none, got: none}
	if furthest < len(wanted) {
		bad.want = wanted[furthest]
	}
	if at < len(got) {
		bad.got = got[at]
	}
	return 0, bad
}

// paragraphs puts the sentences of a summary together, which break where their
// numbers make them. Of the first n there are ends[n] lines.
func paragraphs(lines []string) (joined []string, ends []int) {
	ends = []int{0}
	for i, line := range lines {
		if last := len(joined) - 1; last >= 0 && strings.HasPrefix(joined[last], "• ") && strings.HasPrefix(line, "  ") {
			joined[last] += " " + strings.TrimSpace(line)
			ends[last+1] = i + 1
			continue
		}
		joined, ends = append(joined, line), append(ends, i+1)
	}
	return joined, ends
}

// unused names what is said to vary and is not shown.
func (m *matcher) unused() (names []string) {
	for i, name := range m.names {
		if !m.used[i] {
			names = append(names, name)
		}
	}
	return names
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		varies, shown, got string
		fits               bool
	}{
		{"", "a", "a", true},
		{"", "a", "b", false},
		{"", "a", "a\nb", false},
		{"", "a\nb", "a", false},
		{"", "0.002 s", "0.003 s", false},
		{"times", "0.002 s", "12 ms", true},
		{"times", "open after 22 µs, of 4s", "open after 1.02 ms, of 4s", true},
		{"times", "open after 22 µs, of 4s", "open after 22 µs, of 5s", false},
		{"times", "   0.002    #3 → SYN", "  10.002    #3 → SYN", true},
		{"times", "10.002 #3  → SYN", " 1.002  #3 → SYN", true},
		{"times", "   0.002    #3 → SYN", "  10.002    #4 → SYN", false},
		{"times", "0.002 127.0.0.1", "0.003 127.0.0.2", false},
		{"times", `{"at":1.25,"n":3}`, `{"at":2,"n":3}`, true},
		{"times", `{"at":1.25,"n":3}`, `{"at":2,"n":4}`, false},
		{"times", `"2026-11-23T03:38:37.928092897Z"`, `"2027-01-01T00:00:00Z"`, true},
		{"ports", "127.0.0.1:40000 → 127.0.0.1:3000", "127.0.0.1:50123 → 127.0.0.1:3000", true},
		{"ports", "127.0.0.1:40000 → 127.0.0.1:3000", "127.0.0.1:50123 → 127.0.0.1:3001", false},
		{"ports", "127.0.0.1.40000 > 127.0.0.1.3000", "127.0.0.1.50123 > 127.0.0.1.3000", true},
		{"sequence numbers", "seq 2402204661, len 76", "seq 1, len 76", true},
		{"sequence numbers", "seq 2402204661, len 76", "seq 1, len 77", false},
		{"process numbers", "kax[123] fd 5", "kax[4711] fd 5", true},
		{"process numbers", "kax, process 123, descriptor 5", "kax, process 4711, descriptor 5", true},
		{"counts", "9 packets", "10 packets", true},
		{"versions", "kax demo (devel)", "kax demo v1.2.3-pre", true},
		{"/0x[0-9a-f]+/", "flags 0x018", "flags 0x10", true},
		{"/0x[0-9a-f]+/", "flags 0x018", "flags 0x1x", false},
		{"omits", "a\n...\nb", "a\n1\n2\nb", true},
		{"omits", "a\n...\nb", "a\nb", true},
		{"omits", "a\n...\nb", "a\n1\nc", false},
		{"", "a\n...\nb", "a\n1\nb", false},
		{"times", "• took 21 µs\n  here", "• took\n  121 µs here", true},
		{"times", "• took 21 µs\n  here", "• took\n  121 µs there", false},
	} {
		var varies []string
		omits := tt.varies == "omits"
		if tt.varies != "" && !omits {
			varies = list(tt.varies)
		}
		m, err := newMatcher(varies)
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.match(shown{lines: strings.Split(tt.shown, "\n")}, omits, false, strings.Split(tt.got, "\n"))
		if (err == nil) != tt.fits {
			t.Errorf("%q varies, %q shown, %q came: %v", tt.varies, tt.shown, tt.got, err)
		}
	}
	if _, err := newMatcher([]string{"time"}); err == nil {
		t.Error("a class that is none")
	}
	m, _ := newMatcher([]string{"ports"})
	if m.line("none here"); len(m.unused()) != 1 {
		t.Error("what nothing shows is not told")
	}
}
