// Package need skips tests for what a machine lacks, by name. With
// KAX_REQUIRE=all such a lack is a failure, so that no skip can hide one where
// everything should be there.
package need

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("KAX_REQUIRE") == "all" {
		t.Fatalf("KAX_REQUIRE=all: "+format, args...)
	}
	t.Skipf(format, args...)
}

// Root skips a test that only root can run.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "needs root")
	}
}

// Tool returns the path of a program that must be installed.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, "needs %s, which is not installed", name)
	}
	return path
}

// Capture returns the path of a public capture, in the folder that
// KAX_CAPTURES names.
func Capture(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("KAX_CAPTURES")
	if dir == "" {
		missing(t, "needs KAX_CAPTURES, the folder of the public captures")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Permission skips a test for want of a permission that err tells of.
func Permission(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		missing(t, "needs leave to %s: %v", what, err)
	}
}
