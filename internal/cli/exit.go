package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"kax/internal/view"
)

// Exit codes; docs/reference/exit-codes.md lists them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitProblem     = 3 // a check found one
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

// coded is an error with an exit code of its own.
type coded struct {
	error
	code int
}

func (c coded) Unwrap() error { return c.error }

// silent is the exit code of a run that has said what there is to say.
type silent int

func (s silent) Error() string { return fmt.Sprintf("exit code %d", int(s)) }

func usage(err error) error { return coded{err, exitUsage} }

func unable(err error) error { return coded{err, exitUnable} }

// exit reports err on stderr and returns the exit code that it means.
func (a *app) exit(err error) int {
	if err == nil {
		return exitOK
	}
	if s := silent(0); errors.As(err, &s) {
		return int(s)
	}
	if p := (*os.PathError)(nil); errors.As(err, &p) && p.Path == a.stdout.Name() && errors.Is(p, syscall.EPIPE) {
		return exitFailed // whoever read the output has seen enough
	}
	code := exitFailed
	if c := (coded{}); errors.As(err, &c) {
		code = c.code
	} else if errors.Is(err, errInterrupted) {
		code = exitInterrupted
	} else if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, os.ErrPermission) {
		code = exitUnable
	} else if !a.running && !errors.As(err, new(*os.PathError)) {
		code = exitUsage // cobra's own verdict on the command line
	}
	fmt.Fprintf(a.stderr, "kax: %s\n", inWords(err))
	if h := (hinted{}); errors.As(err, &h) {
		fmt.Fprintf(a.stderr, "hint: %s\n", view.Clean(h.hint))
	} else if code == exitUsage {
		fmt.Fprintln(a.stderr, `hint: add --help for the flags and examples`)
	}
	return code
}

// inWords is an error on one line that a terminal can be shown: libraries quote
// what they have read, a few of them as it is.
func inWords(err error) string {
	// errors.Join puts each on a line of its own; two writes may fail alike.
	lines := slices.Compact(strings.Split(strings.TrimSpace(err.Error()), "\n"))
	return view.Clean(strings.Join(lines, "; "))
}
