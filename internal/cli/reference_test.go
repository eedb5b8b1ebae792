package cli

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kax/internal/known"
	"kax/internal/times"
)

//go:generate go test . -count=1 -run ^TestReference$ -update

var update = flag.Bool("update", false, "write the pages that are made of the command tree")

// docs/reference and docs/man have what is made of the command tree and of the
// list of known systems. With -update they are written.
func TestReference(t *testing.T) {
	root := (&app{version: "devel"}).root()
	want := map[string]string{"reference/timeouts.md": timeoutsPage()}
	index := commandsIndex{}
	for _, cmd := range allCommands(root) {
		if cmd.Example == "" {
			t.Errorf("%q has no examples", cmd.CommandPath())
		}
		name := fileName(cmd)
		want["reference/commands/"+name+".md"] = commandPage(cmd)
		want["man/"+name+".1"] = manPage(cmd, exitCodes(t))
		index.add(cmd, name)
	}
	want["reference/commands/README.md"] = index.String()

	const docs = "../../docs"
	for _, glob := range []string{"man/*", "reference/commands/*"} {
		there, err := filepath.Glob(filepath.Join(docs, glob))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range there {
			name, err := filepath.Rel(docs, path)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := want[filepath.ToSlash(name)]; ok {
				continue
			}
			if !*update {
				t.Errorf("docs/%s: of a command that is gone: go generate ./...", name)
			} else if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		path := filepath.Join(docs, name)
		got, err := os.ReadFile(path)
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(want[name]), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if err != nil || string(got) != want[name] {
			t.Errorf("docs/%s is not as kax has it: go generate ./... (%v)", name, err)
		}
	}
}

// A command's help fits any terminal, and names no default that is nothing.
func TestHelpFits(t *testing.T) {
	for _, cmd := range allCommands((&app{version: "devel"}).root()) {
		if strings.HasPrefix(cmd.CommandPath(), "kax completion") {
			continue // cobra's words
		}
		flags := cmd.LocalFlags().FlagUsagesWrapped(helpWidth)
		for line := range strings.Lines(cmd.Long + "\n" + flags) {
			line = strings.TrimRight(line, "\n")
			if utf8.RuneCountInString(line) > helpWidth {
				t.Errorf("%s: wider than %d columns: %s", cmd.CommandPath(), helpWidth, line)
			}
		}
		if strings.Contains(flags, "(default [])") {
			t.Errorf("%s: (default []) says nothing", cmd.CommandPath())
		}
	}
}

// allCommands are root and what is below it, in order, without what cobra adds for
// itself.
func allCommands(root *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{root}
	for _, cmd := range root.Commands() {
		all = append(all, allCommands(cmd)...)
	}
	root.InitDefaultHelpFlag()
	root.InitDefaultVersionFlag()
	return all
}

// fileName is a command's name as its pages bear it.
func fileName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

const generated = "<!-- made by go generate ./... from internal/cli -->"

// commandPage is the reference of a command: what its --help says.
func commandPage(cmd *cobra.Command) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n\n%s\n\n", cmd.CommandPath(), generated)
	fmt.Fprintf(&b, "%s\n\n```text\n%s\n```\n", sentence(cmd.Short), usageLine(cmd))
	for _, part := range parts(cmd.Long) {
		if part.verbatim {
			fmt.Fprintf(&b, "\n```text\n%s\n```\n", part.text)
		} else {
			fmt.Fprintf(&b, "\n%s\n", escapeMarkdown(part.text))
		}
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\n## Commands\n\n| command | what it does |\n|---|---|\n")
		for _, sub := range cmd.Commands() {
			fmt.Fprintf(&b, "| [%s](%s.md) | %s |\n", sub.CommandPath(), fileName(sub), escapeMarkdown(sub.Short))
		}
	}
	fmt.Fprintf(&b, "\n## Examples\n\n<!-- as root -->\n%s\n## Flags\n\n```text\n%s```\n\n", examples(cmd), cmd.LocalFlags().FlagUsagesWrapped(helpWidth))
	fmt.Fprintf(&b, "Exit codes: [exit-codes.md](../exit-codes.md). In a terminal: `%s --help`, or the\n[man page](../../man/%s.1).\n", cmd.CommandPath(), fileName(cmd))
	return b.String()
}

// examples are a command's, with the scene that docs' test needs to run them. Each
// poke takes a connection that has been idle since the one before.
func examples(cmd *cobra.Command) string {
	var b strings.Builder
	before := scene(cmd)
	for line := range strings.Lines(cmd.Example) {
		if poke := cmd.Name() == "poke"; b.Len() == 0 || poke {
			if poke && b.Len() > 0 {
				b.WriteString("```\n\n")
				before = "sleep 1.1"
			}
			b.WriteString("<!-- output not shown -->\n")
			if before != "" {
				fmt.Fprintf(&b, "<!-- before:\n%s\n-->\n", before)
			}
			b.WriteString("```console\n")
		}
		fmt.Fprintf(&b, "$ %s\n", strings.TrimSpace(line))
	}
	return b.String() + "```\n"
}

// scene is what a command's examples are about, as a shell sets it up.
func scene(cmd *cobra.Command) string {
	server := func(addr string, more ...string) string {
		return fmt.Sprintf("kax http serve %s %s>%s 2>&1 &\nuntil grep -q :// %[3]s; do sleep 0.1; done",
			addr, strings.Join(append(more, ""), " "), addr[strings.LastIndex(addr, ":")+1:])
	}
	switch cmd.CommandPath() {
	case "kax decode":
		return "cat >packet.txt <<'END'\n" + aSYN + "END"
	case "kax read", "kax ui":
		return "kax demo -w demo.pcapng --pause 1s --idle-timeout 2s >demo.txt"
	case "kax tcp dial", "kax http request":
		return server("127.0.0.1:3000")
	case "kax http":
		return server("127.0.0.1:8080", "--idle-timeout 1500ms")
	case "kax http idle", "kax http race":
		return server("127.0.0.1:3000", "--idle-timeout 1500ms") + "\n" + server("127.0.0.1:8443", "--tls --idle-timeout 1500ms")
	case "kax tcp get", "kax tcp set", "kax tcp poke":
		// The last line waits until the connection is idle enough for a poke.
		return `PORT=3000
kax http serve 127.0.0.1:$PORT >served 2>&1 &
until grep -q :// served; do sleep 0.1; done
kax tcp dial 127.0.0.1:$PORT --source counters >dialled 2>&1 &
PID=$!
until kax tcp sockets --pid $PID --json | grep -q '"fd"'; do sleep 0.1; done
FD=$(kax tcp sockets --pid $PID --json | sed -n 's/.*"fd":\([0-9]*\).*/\1/p')
sleep 1.1`
	}
	return ""
}

// aSYN is a SYN of macOS on its loopback interface, as Wireshark copies it.
const aSYN = `0000   1e 00 00 00 60 0a 45 cf 00 2c 06 40 00 00 00 00   ....` + "`" + `.E..,.@....
0010   00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00   ................
0020   00 00 00 00 00 00 00 00 00 00 00 01 e1 7a 23 f0   .............z#.
0030   9e 32 88 36 00 00 00 00 b0 02 ff ff 00 34 00 00   .2.6.........4..
0040   02 04 3f c4 01 03 03 05 01 01 08 0a 42 f9 03 ad   ..?.........B...
0050   00 00 00 00 04 02 00 00                           ........
`

// commandsIndex is the page of all commands.
type commandsIndex struct{ rows strings.Builder }

func (x *commandsIndex) add(cmd *cobra.Command, name string) {
	fmt.Fprintf(&x.rows, "| [%s](%s.md) | %s |\n", cmd.CommandPath(), name, escapeMarkdown(cmd.Short))
}

func (x *commandsIndex) String() string {
	return "# The commands\n\n" + generated + "\n\n| command | what it does |\n|---|---|\n" + x.rows.String()
}

// usageLine is cobra's, for a command that may do without another below it.
func usageLine(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return cmd.CommandPath() + " COMMAND [flags]"
	}
	return cmd.UseLine()
}

// A part of a command's text: a paragraph, or lines that are to stay as they are.
type part struct {
	text     string
	verbatim bool
}

// parts takes a text apart: what is indented is verbatim.
func parts(text string) (all []part) {
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		verbatim := strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "\t")
		last := len(all) - 1
		switch {
		case text == "":
		case last >= 0 && all[last].verbatim && (verbatim || line == ""):
			all[last].text += "\n" + line
		case line == "":
			all = append(all, part{})
		case last < 0 || all[last].verbatim || verbatim:
			all = append(all, part{line, verbatim})
		default:
			all[last].text = strings.TrimPrefix(all[last].text+"\n"+line, "\n")
		}
	}
	all = slices.DeleteFunc(all, func(p part) bool { return p.text == "" })
	for i := range all {
		all[i].text = strings.TrimRight(all[i].text, "\n")
	}
	return all
}

func sentence(short string) string {
	return strings.ToUpper(short[:1]) + escapeMarkdown(short[1:]) + "."
}

func escapeMarkdown(text string) string {
	return regexp.MustCompile(`[\\*_<>|]`).ReplaceAllString(text, `\$0`)
}

// timeoutsPage is the list of known systems.
func timeoutsPage() string {
	var b strings.Builder
	b.WriteString(`# Idle timeouts of systems that people meet

<!-- made by go generate ./... from internal/known -->

How long each leaves a connection alone on which nothing moves, by default, with the
document that says so and its year. What kax tcp plan compares settings with.

## Where a keepalive probe counts as traffic

These pass packets on and forget a connection that is idle for too long. One packet is
as good as another to them, so probes keep the connection: the idle time before the
first probe has to be shorter than the timeout.
`)
	table := func(counts bool) {
		b.WriteString("\n| system | kind | timeout | by which document; note |\n|---|---|---|---|\n")
		for _, s := range known.Systems() {
			if s.ProbesCount() == counts {
				note := fmt.Sprintf("%s, %d", s.Source, s.Year)
				if s.Note != "" {
					note += "; " + s.Note
				}
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", escapeMarkdown(s.Name), s.Kind, times.Clock(s.IdleTimeout), escapeMarkdown(note))
			}
		}
	}
	table(true)
	b.WriteString(`
## Where it does not

The connection ends there. The kernel answers the probe, and the program goes by the
bytes that it is sent, of which a probe has none: only traffic keeps it. Of two such
timeouts in a chain, the one nearer to the client has to be the shorter one.
`)
	table(false)
	return b.String()
}

// manPage is the man page of a command, in the man macros of groff_man(7) that
// mandoc(1) knows too. It bears no date: it is the same wherever it is made.
func manPage(cmd *cobra.Command, codes []exitCode) string {
	var b strings.Builder
	name := fileName(cmd)
	fmt.Fprintf(&b, ".\\\" made by go generate ./... from internal/cli\n.TH %q 1 \"\" \"kax\" \"kax manual\"\n", strings.ToUpper(name))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n%s\n", roff(cmd.CommandPath()), roff(strings.TrimPrefix(usageLine(cmd), cmd.CommandPath()+" ")))
	b.WriteString(".SH DESCRIPTION\n")
	long := parts(cmd.Long)
	if long == nil {
		long = []part{{sentence(cmd.Short), false}}
	}
	verbatim := func(text string) { fmt.Fprintf(&b, ".PP\n.EX\n%s\n.EE\n", roff(text)) }
	for i, p := range long {
		switch {
		case p.verbatim:
			verbatim(p.text)
		case i > 0:
			fmt.Fprintf(&b, ".PP\n%s\n", roff(p.text))
		default:
			fmt.Fprintf(&b, "%s\n", roff(p.text))
		}
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range cmd.Commands() {
			fmt.Fprintf(&b, ".TP\n.BR %s (1)\n%s\n", roff(fileName(sub)), roff(sub.Short))
		}
	}
	b.WriteString(".SH OPTIONS\n")
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		one := pflag.NewFlagSet("", pflag.ContinueOnError)
		one.AddFlag(f)
		names, text, _ := strings.Cut(strings.TrimSpace(one.FlagUsages()), "   ")
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(names), roff(strings.TrimSpace(text)))
	})
	b.WriteString(".SH EXIT STATUS\n")
	for _, c := range codes {
		fmt.Fprintf(&b, ".TP\n.B %d\n%s\n", c.code, roff(c.meaning))
	}
	b.WriteString(".SH EXAMPLES\n")
	var examples []string
	for line := range strings.Lines(cmd.Example) {
		examples = append(examples, strings.TrimSpace(line))
	}
	fmt.Fprintf(&b, ".EX\n%s\n.EE\n.SH SEE ALSO\n", roff(strings.Join(examples, "\n")))
	var also []string
	for _, other := range related(cmd) {
		also = append(also, ".BR "+roff(fileName(other))+" (1)")
	}
	fmt.Fprintf(&b, "%s\n", strings.Join(append(also, ".BR tcp (7)"), ",\n"))
	return b.String()
}

// related are the command's parent and that one's other commands; for the first
// one, what to begin with.
func related(cmd *cobra.Command) []*cobra.Command {
	if !cmd.HasParent() {
		return cmd.Commands()
	}
	all := []*cobra.Command{cmd.Parent()}
	if cmd.Parent().HasParent() {
		for _, sibling := range cmd.Parent().Commands() {
			if sibling != cmd {
				all = append(all, sibling)
			}
		}
	}
	return all
}

// roff escapes text: a hyphen that can be copied, no macro at the begin of a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", "\\(ga", "^", `\(ha`, "~", `\(ti`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

type exitCode struct {
	code    int
	meaning string
}

// exitCodes are those of docs/reference/exit-codes.md.
func exitCodes(t *testing.T) (codes []exitCode) {
	t.Helper()
	text, err := os.ReadFile("../../docs/reference/exit-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \| ([^|]*) \|`).FindAllStringSubmatch(string(text), -1) {
		var c exitCode
		fmt.Sscan(m[1], &c.code)
		c.meaning = m[2]
		codes = append(codes, c)
	}
	return codes
}

// The documented exit codes are those that there are.
func TestExitCodesAreDocumented(t *testing.T) {
	var documented []int
	for _, c := range exitCodes(t) {
		documented = append(documented, c.code)
	}
	if all := []int{exitOK, exitFailed, exitUsage, exitProblem, exitUnable, exitInterrupted}; !slices.Equal(documented, all) {
		t.Errorf("documented %v, and there are %v", documented, all)
	}
}
