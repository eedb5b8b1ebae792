package hosts

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What the kernel lacks is told once, and from what it does not allow.
func TestMissing(t *testing.T) {
	err := missing(fmt.Errorf("flush: %w", errors.Join(unix.ENOENT, unix.ENOENT)))
	if !errors.Is(err, errors.ErrUnsupported) || !errors.Is(err, unix.ENOENT) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%q", err)
	}
	if err := missing(unix.EPERM); !errors.Is(err, unix.EPERM) || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%q", err)
	}
}
