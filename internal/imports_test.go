// Package internal holds the test of the import graph: docs/architecture.md
// draws it.
package internal

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowed is the whole graph: what each package may import of kax, and why.
// Imports go down only.
var allowed = map[string]struct {
	imports []string
	why     string
}{
	"tcpka":             {nil, "TCP keepalive, as a library: a mechanism of its own"},
	"httpka":            {nil, "HTTP keep-alive, as a library: knows nothing of the other mechanism"},
	"internal/wire":     {nil, "bytes to segments, wherever they come from"},
	"internal/capture":  {[]string{"internal/wire"}, "packets in and out, whatever they mean; names their link types as wire does"},
	"internal/netns":    {nil, "namespaces, whatever runs in them"},
	"internal/need":     {nil, "what tests need of a machine"},
	"internal/known":    {nil, "facts about systems of others"},
	"internal/times":    {nil, "how time spans are written, whatever they are of"},
	"internal/sockets":  {[]string{"tcpka", "internal/netns", "internal/times"}, "lists sockets, and reads and sets keepalive on other programs', in their namespaces"},
	"internal/hosts":    {[]string{"internal/netns"}, "machines of namespaces and what lies between them, for labs and tests"},
	"internal/testnet":  {[]string{"internal/need", "internal/netns"}, "a network for tests"},
	"internal/counters": {[]string{"tcpka"}, "names what it infers as tcpka does"},
	"internal/timeline": {[]string{"internal/wire", "internal/times", "tcpka", "httpka"}, "where the two mechanisms meet"},
	"internal/dissect":  {[]string{"internal/timeline", "internal/wire"}, "takes a frame apart into a record; where frames come from is not its business"},
	"internal/web":      {[]string{"internal/dissect", "internal/timeline", "internal/wire"}, "records are its only input; a packet whose bytes they bear is taken apart; what it runs is handed to it"},
	"internal/browser":  {[]string{"internal/need"}, "a browser for tests"},
	"internal/hexdump":  {nil, "text to bytes, whatever they are"},
	"internal/view":     {[]string{"internal/timeline", "internal/times"}, "records are the only input of a view"},
	"internal/page":     {nil, "Markdown to text, whatever it says"},
	"docs/reference":    {nil, "the pages themselves"},
	"internal/observe":  {[]string{"internal/capture", "internal/timeline", "internal/wire"}, "packets of others to a timeline, wherever they come from"},
	"internal/lab": {[]string{"internal/timeline", "internal/capture", "internal/counters", "internal/hosts", "internal/netns", "internal/times", "internal/wire", "tcpka", "httpka"},
		"runs experiments; whoever shows the records is not its business"},
	"internal/cli": {[]string{"docs/reference", "internal/page", "internal/dissect", "internal/hexdump", "internal/web", "internal/wire", "internal/observe", "internal/known", "internal/sockets", "internal/lab", "internal/view", "internal/timeline", "internal/capture", "internal/counters", "internal/netns", "internal/times", "tcpka", "httpka"},
		"the command tree, which puts it all together"},
	"docs/performance":          {nil, "measures commands from outside"},
	"docs/performance/generate": {[]string{"internal/capture", "internal/wire"}, "makes the capture that is measured with"},
	"cmd/kax":                   {[]string{"internal/cli"}, "main and nothing else"},
}

// only says which packages may know an outside module.
var only = map[string][]string{
	"github.com/spf13/cobra":       {"internal/cli"},
	"github.com/spf13/pflag":       {"internal/cli"},
	"golang.org/x/term":            {"internal/cli"},
	"golang.org/x/net/bpf":         {"internal/capture"},
	"github.com/gopacket/gopacket": {}, // another reader of capture files, for tests to compare with
	"github.com/google/nftables":   {"internal/hosts"},
	"github.com/vishvananda":       {"internal/hosts"},
}

func TestImports(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	err = fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		pkg := path.Dir(name)
		seen[pkg] = true
		rule, ok := allowed[pkg]
		if !ok {
			t.Errorf("%s: a package that the graph does not have", pkg)
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if own, ok := strings.CutPrefix(imported, "kax/"); ok && !slices.Contains(rule.imports, own) {
				t.Errorf("%s imports %s; %s: %s", name, own, pkg, rule.why)
			}
			for module, users := range only {
				if (imported == module || strings.HasPrefix(imported, module+"/")) && !slices.Contains(users, pkg) {
					t.Errorf("%s imports %s, which is for %v", name, imported, users)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range allowed {
		if !seen[pkg] {
			t.Errorf("%s: the graph has a package that is gone", pkg)
		}
	}
}
