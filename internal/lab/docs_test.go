package lab

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"kax/internal/times"
)

var update = flag.Bool("update", false, "write docs/labs.md")

const docs = "../../docs/labs.md"

//go:generate go test . -count=1 -run ^TestDocs$ -update

// docs/labs.md is made of the labs' definitions.
func TestDocs(t *testing.T) {
	want := document(Labs())
	if *update {
		if err := os.WriteFile(docs, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/labs.md is not what the labs say: go generate ./...")
	}
}

func document(labs []Lab) []byte {
	var b bytes.Buffer
	b.WriteString(strings.ReplaceAll(`# Labs

<!-- made by go generate ./... from internal/lab -->

Each lab answers one question by an experiment between hosts that are network
namespaces of its own: no root, no other program, nothing left behind. It shows the
packets and requests as they happen, and holds what it teaches against this run's
packets and kernel counters. The exit code is 3 if they contradict it, and 4 where
the kernel lacks what the lab needs.

<!-- output not shown -->
~~~console
$ kax lab list
$ kax lab run vanish
~~~

<!-- not run: tests of internal/cli run each lab -->
~~~console
$ kax lab run all
~~~

`, "~~~", "```"))
	fmt.Fprintln(&b, "| lab | question |\n|---|---|")
	for _, l := range labs {
		fmt.Fprintf(&b, "| [%s](#%s) | %s |\n", l.Name, l.Name, l.Question)
	}
	for _, l := range labs {
		fmt.Fprintf(&b, "\n## %s\n\n**%s**\n\n%s\n\n```text\n%s\n```\n\n", l.Name, strings.ToUpper(l.Question[:1])+l.Question[1:], l.Teaches, strings.Trim(l.Topology, "\n"))
		if l.Runs != nil {
			fmt.Fprintln(&b, "| run | |\n|---|---|")
			for _, v := range l.Runs(l.Settings) {
				text := v.Text
				if v.Client.Enabled {
					text += "; client: keepalive " + v.Client.String()
				}
				if v.Server.Enabled {
					text += "; server: keepalive " + v.Server.String()
				}
				fmt.Fprintf(&b, "| %s | %s |\n", v.Name, text)
			}
			fmt.Fprintln(&b)
		}
		if flags := flagsOf(l.Settings); flags != "" {
			fmt.Fprintf(&b, "Settings: %s\n\n", flags)
		}
		if len(l.Needs) > 0 {
			var names []string
			for _, n := range l.Needs {
				names = append(names, n.Name)
			}
			fmt.Fprintf(&b, "Needs of the kernel: %s\n\n", strings.Join(names, ", "))
		}
		fmt.Fprintf(&b, "In the real world: %s\n", l.World)
	}
	return b.Bytes()
}

// flagsOf are the flags that a lab takes, with their defaults.
func flagsOf(s Settings) string {
	var out []string
	add := func(format string, args ...any) { out = append(out, "`"+fmt.Sprintf(format, args...)+"`") }
	if s.TCP.Enabled {
		add("--keepidle %s", times.Clock(s.TCP.Idle))
		add("--keepintvl %s", times.Clock(s.TCP.Interval))
		add("--keepcnt %d", s.TCP.Count)
		if s.TCP.UserTimeout > 0 {
			add("--user-timeout %s", times.Clock(s.TCP.UserTimeout))
		} else {
			add("--user-timeout")
		}
	}
	if s.IdleTimeout > 0 {
		add("--idle-timeout %s", times.Clock(s.IdleTimeout))
	}
	if s.Requests > 0 {
		add("--requests %d", s.Requests)
	}
	return strings.Join(out, ", ")
}

// Everything that is shown of a lab is there.
func TestDefinitions(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range Labs() {
		if l.Name == "" || l.Question == "" || l.Teaches == "" || l.World == "" || l.Topology == "" || l.Run == nil || seen[l.Name] {
			t.Errorf("lab %q lacks something, or is there twice", l.Name)
		}
		seen[l.Name] = true
		if !strings.HasSuffix(l.Question, "?") {
			t.Errorf("lab %s asks %q", l.Name, l.Question)
		}
	}
}
