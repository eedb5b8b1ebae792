package need_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kax/internal/need"
)

const envWhat = "KAX_TEST_NEED"

// TestNeed is what the other test starts in a process of its own: there a skip
// or a failure can be looked at.
func TestNeed(t *testing.T) {
	switch what := os.Getenv(envWhat); what {
	case "tool":
		need.Tool(t, "no-such-tool")
	case "tool that is there":
		if path := need.Tool(t, os.Args[0]); path != os.Args[0] {
			t.Errorf("path %q", path)
		}
	case "root":
		need.Root(t)
	case "capture":
		need.Capture(t, "a.pcap")
	case "permission":
		need.Permission(t, "fly", errors.New("no wings"))
	case "permission that is there":
		need.Permission(t, "walk", nil)
	case "":
		return // in the test's own process
	default:
		t.Fatalf("%s=%q", envWhat, what)
	}
	t.Log("went on")
}

func TestSkipsAndFailures(t *testing.T) {
	captures := t.TempDir()
	if err := os.WriteFile(filepath.Join(captures, "a.pcap"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	root := "needs root"
	if os.Geteuid() == 0 {
		root = ""
	}
	for _, tt := range []struct {
		what, captures string
		lack           string // what is said to be missing, or ""
	}{
		{"tool", "", "needs no-such-tool, which is not installed"},
		{"tool that is there", "", ""},
		{"root", "", root},
		{"capture", "", "needs KAX_CAPTURES, the folder of the public captures"},
		{"capture", captures, ""},
		{"permission", "", "needs leave to fly: no wings"},
		{"permission that is there", "", ""},
	} {
		for _, require := range []string{"", "all", "some"} {
			t.Run(tt.what+" "+require, func(t *testing.T) {
				out, passed := run(t, tt.what, tt.captures, require)
				wantPassed, want := true, "went on"
				switch {
				case tt.lack != "" && require == "all":
					wantPassed, want = false, "KAX_REQUIRE=all: "+tt.lack
				case tt.lack != "":
					want = tt.lack
				}
				if passed != wantPassed || !strings.Contains(out, want) || (want != "went on") == strings.Contains(out, "went on") {
					t.Errorf("passed %v, want %v with %q:\n%s", passed, wantPassed, want, out)
				}
				if skipped := strings.Contains(out, "--- SKIP: TestNeed"); skipped != (tt.lack != "" && require != "all") {
					t.Errorf("skipped %v:\n%s", skipped, out)
				}
			})
		}
	}
}

// A folder was named: a capture that it does not hold is a mistake, not a lack.
func TestCaptureThatIsNotThere(t *testing.T) {
	out, passed := run(t, "capture", t.TempDir(), "")
	if passed || !strings.Contains(out, "no such file or directory") {
		t.Errorf("passed %v:\n%s", passed, out)
	}
}

func run(t *testing.T, what, captures, require string) (out string, passed bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestNeed$", "-test.v")
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "KAX_") }),
		envWhat+"="+what, "KAX_CAPTURES="+captures, "KAX_REQUIRE="+require,
		"GORACE=atexit_sleep_ms=0") // or every process takes a second to end
	b, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(b), err == nil
}
