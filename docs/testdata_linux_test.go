package docs_test

import (
	"os"
	"strings"
	"testing"
)

// A page that has all that a page may have is read, and where anything in it is
// otherwise it is not.
func TestReader(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/page.md")
	if err != nil {
		t.Fatal(err)
	}
	if !inside(t) {
		return
	}
	for _, tt := range []struct{ old, new, want string }{
		{"", "", ""},
		{"3000/\n```", "3001/\n```", "what came there"},
		{"three\n$", "four\n$", "what came there: \"two\""},
		{"value\none", "valve\none", "shown, and did not come: \"valve\""},
		{"hello $USER\n$ false", "hello\n$ false", "hello $USER"},
		{"$ echo $?\n1\n", "", "exit code 1, which is not shown"},
		{"\n1\n", "\n2\n", "what came there: \"1\""},
		{"\n0\n", "\n1\n", "what came there: \"0\""},
		{"\n3\n", "\n4\n", "what came there: \"3\""},
		{"<!-- omits: a line -->\n", "", "did not come: \"...\""},
		{"saved\n```\n\n", "lost\n```\n\n", "what came there: \"lost\""},
		{"times, ports", "times", "127.0.0.1:40001"},
		{"times, ports", "times, ports, versions", "[\"versions\"]"},
		{"times, ports", "time", "is none of"},
		{"3000/keep --source", "3001/keep --source", "connection refused"},
		{"counters\n   ```", "counters >file\n   ```", "puts nothing out"},
		{"printf 'one", "exit 4; printf 'one", "ended"},
		{"printf 'one", "(exit 4)\nfalse # '", "what comes before it: exit code 1"},
	} {
		t.Run(tt.new, func(t *testing.T) {
			if !strings.Contains(string(text), tt.old) {
				t.Fatalf("the page has no %q", tt.old)
			}
			p, err := parse("page.md", strings.Replace(string(text), tt.old, tt.new, 1))
			if err != nil {
				t.Fatal(err)
			}
			switch err := newReader(t, p).read(); {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("no %q: %v", tt.want, err)
			}
		})
	}
}
