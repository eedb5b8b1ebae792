package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Exit codes; docs/records.md and the reference list them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnable      = 4 // not permitted, or not supported here
	exitInterrupted = 130
)

// hinted is an error with a word on what to do about it.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

func withHint(err error, format string, args ...any) error {
	return hinted{err, fmt.Sprintf(format, args...)}
}

// coded is an error with an exit code of its own. Without a text the process
// has said what there is to say.
type coded struct {
	error
	code int
}

func (c coded) Unwrap() error { return c.error }

func usage(err error) error { return coded{err, exitUsage} }

func unable(err error) error { return coded{err, exitUnable} }

// exit reports err on stderr and returns the exit code that it means.
func (a *app) exit(err error) int {
	if err == nil {
		return exitOK
	}
	code := exitFailed
	if c := (coded{}); errors.As(err, &c) {
		code = c.code
		if c.error == nil {
			return code
		}
	} else if errors.Is(err, errInterrupted) {
		code = exitInterrupted
	} else if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, os.ErrPermission) {
		code = exitUnable
	} else if !a.running {
		code = exitUsage // cobra's own verdict on the command line
	}
	fmt.Fprintf(a.stderr, "kax: %s\n", strings.TrimSpace(err.Error()))
	if h := (hinted{}); errors.As(err, &h) {
		fmt.Fprintf(a.stderr, "hint: %s\n", h.hint)
	} else if code == exitUsage {
		fmt.Fprintln(a.stderr, `hint: add --help for the flags and examples`)
	}
	return code
}
