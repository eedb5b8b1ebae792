package netns

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"kax/internal/need"

	"golang.org/x/sys/unix"
)

// Run starts this test binary again, whose TestMain then plays the part that
// envRole names.
const (
	envRole    = "KAX_TEST_ROLE"
	envOutside = "KAX_TEST_OUTSIDE" // the namespace that the child must not be in

	exits    = "exits"    // ready, then exit code 7
	looks    = "looks"    // ready, and exit code 0 when everything is as it should be
	refuses  = "refuses"  // not ready
	dies     = "dies"     // says nothing
	asked    = "asked"    // has its parent asked to end, and does
	stubborn = "stubborn" // has its parent asked twice, since it does not
	orphan   = "orphan"   // outlives its parent, and ends
	parent   = "parent"   // the parent of the orphan, outside the namespace
)

func TestMain(m *testing.M) {
	role := os.Getenv(envRole)
	child, err := Inside()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case role == parent && child == nil:
		os.Setenv(envRole, orphan)
		_, err := Run(false)
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case child != nil:
		os.Exit(play(role, child))
	}
	os.Exit(m.Run())
}

func play(role string, child *Child) int {
	var err error
	switch role {
	case refuses:
		err = errors.New("no room at the inn")
	case dies:
		return 3
	}
	if err := child.Ready(err); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	switch role {
	case exits:
		return 7
	case looks:
		if err := look(child); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	case asked:
		askParent()
		child.Wait()
		return 5
	case stubborn:
		askParent()
		child.Wait()
		_ = unix.Kill(os.Getppid(), unix.SIGINT) // the only signal that kills
		select {}
	case orphan:
		fmt.Println("ready")
		child.Wait()
		fmt.Println("ended")
	}
	return 0
}

func askParent() { _ = unix.Kill(os.Getppid(), unix.SIGTERM) }

// look checks the namespace from inside.
func look(child *Child) error {
	if name, err := id(); err != nil || name == os.Getenv(envOutside) {
		return fmt.Errorf("still in %s, error %v", name, err)
	}
	if v, ok := os.LookupEnv(envChild); ok {
		return fmt.Errorf("%s=%s is left for other programs", envChild, v)
	}
	if child.UserNS && os.Getuid() != 0 {
		return fmt.Errorf("uid %d in a user namespace of its own", os.Getuid())
	}
	if err := LoopbackUp(); err != nil {
		return err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:1") // free, and root's
	if err != nil {
		return err
	}
	defer l.Close()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		return err
	}
	return c.Close()
}

// runRole plays a role. The tests that call it are not parallel: Run takes the
// process's signals.
func runRole(t *testing.T, role string, userNS bool) (int, error) {
	t.Helper()
	outside, err := id()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GORACE", "atexit_sleep_ms=0") // or every child takes a second to end
	t.Setenv(envOutside, outside)
	t.Setenv(envRole, exits)
	if _, err := Run(userNS); errors.Is(err, ErrRefused) {
		need.Permission(t, "run in a network namespace", err)
	}
	t.Setenv(envRole, role)
	return Run(userNS)
}

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		role string
		code int
	}{
		{exits, 7},
		{looks, 0},
		{asked, 5},
		{stubborn, 128 + 9},
	} {
		for name, userNS := range map[string]bool{"": false, " with a user namespace": true} {
			t.Run(tt.role+name, func(t *testing.T) {
				if code, err := runRole(t, tt.role, userNS); code != tt.code || err != nil {
					t.Errorf("exit code %d, error %v; want %d", code, err, tt.code)
				}
			})
		}
	}
}

func TestRunRefused(t *testing.T) {
	for role, want := range map[string]string{
		refuses: "no network namespace of its own: no room at the inn",
		dies:    "no network namespace of its own: exit status 3",
	} {
		t.Run(role, func(t *testing.T) {
			code, err := runRole(t, role, false)
			if !errors.Is(err, ErrRefused) || err.Error() != want || code != 0 {
				t.Errorf("exit code %d, error %v; want %s", code, err, want)
			}
		})
	}
}

// A killed parent can ask nothing any more, and its child ends all the same.
func TestRunEndsWithItsParent(t *testing.T) {
	if code, err := runRole(t, exits, false); code != 7 || err != nil {
		t.Fatal(code, err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), envRole+"="+parent)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(out)
	for s.Scan() && s.Text() != "ready" {
		t.Logf("instead of ready: %s", s.Text())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var rest []string
	for s.Scan() { // until the child has closed its end
		rest = append(rest, s.Text())
	}
	if got := strings.Join(rest, "\n"); got != "ended" {
		t.Errorf("after the parent's death the child says %q, want ended", got)
	}
	_ = cmd.Wait() // killed
}

func TestInside(t *testing.T) {
	if child, err := Inside(); child != nil || err != nil {
		t.Errorf("outside: %+v, %v", child, err)
	}
	t.Setenv(envChild, "yes")
	if child, err := Inside(); child != nil || err == nil || !strings.Contains(err.Error(), envChild) {
		t.Errorf("with a value that kax never sets: %+v, %v", child, err)
	}
}
