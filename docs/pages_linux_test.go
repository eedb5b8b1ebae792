package docs_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kax/internal/cli"
	"kax/internal/need"
	"kax/internal/netns"
)

var update = flag.Bool("update", false, "write what commands put out into the pages")

// envInside says that this process runs one page, in a network of its own, and
// whether its user is root outside of it, too.
const (
	envInside = "KAX_DOCS_INSIDE"
	asRoot    = "as root"
	asMapped  = "as root of the network only"
)

// The test binary is kax and sudo too, by the names that it is called by.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "kax":
		os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr))
	case "sudo":
		os.Exit(sudo(os.Args[1:]))
	}
	if os.Getenv(envInside) != "" {
		if err := netns.LoopbackUp(); err != nil {
			fmt.Fprintln(os.Stderr, "prepare the test:", err)
			os.Exit(99)
		}
	}
	flag.Parse()
	// Most of a page's time is the kernel's timers'.
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// Each page runs from its beginning to its end in a folder and a network of its
// own, as an ordinary user; sudo makes its commands root of that network.
func TestPages(t *testing.T) {
	all := pages(t)
	for _, p := range append(inProse(t, all), all...) { // the longest first
		if !slices.ContainsFunc(p.blocks, (*block).runs) {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			for _, name := range p.needs {
				switch name {
				case "root":
					need.Root(t)
				case "clone":
				case "go":
					modules(t, need.Tool(t, name))
				default:
					need.Tool(t, name)
				}
			}
			if inside(t) {
				if err := newReader(t, p).read(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// modules fetches those that a page may want, and tests do not: a workspace asks for
// all that a module names, and the page has no network.
func modules(t *testing.T, tool string) {
	t.Helper()
	if os.Getenv(envInside) != "" {
		return
	}
	cmd := exec.Command(tool, "mod", "download")
	cmd.Dir = ".."
	need.Permission(t, "download modules", cmd.Run())
}

// inside reports whether the test is in a network of its own. If not it runs the
// test there, in a process of its own, and takes over how that ends. Who is not
// root gets a user namespace too.
func inside(t *testing.T) bool {
	t.Helper()
	if os.Getenv(envInside) != "" {
		return true
	}
	names := strings.Split(t.Name(), "/")
	for i, name := range names {
		names[i] = "^" + regexp.QuoteMeta(name) + "$"
	}
	start := func(args ...string) ([]byte, error) {
		cmd := exec.Command("/proc/self/exe", args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
		as := asRoot
		if os.Geteuid() != 0 {
			as = asMapped
			cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
		}
		cmd.Env = append(os.Environ(), envInside+"="+as)
		return cmd.CombinedOutput()
	}
	_, err := start("-test.run", "^$")
	need.Permission(t, "make namespaces", err)
	out, err := start("-test.run", strings.Join(names, "/"), "-test.v", "-test.count=1", "-test.timeout=9m", fmt.Sprintf("-update=%v", *update))
	switch text := string(out); {
	case err != nil:
		t.Errorf("%v\n%s", err, text)
	case !strings.Contains(text, "--- PASS: "+t.Name()+" "):
		t.Errorf("the test did not run\n%s", text)
	}
	return false
}
