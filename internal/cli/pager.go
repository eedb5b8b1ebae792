package cli

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"golang.org/x/term"
)

// page writes a text for somebody to read: on a terminal by a pager, as git and man
// do it, unless there is none or it is not wanted.
func (a *app) page(text string, noPager bool) error {
	if pager := a.pager(); pager != nil && !noPager {
		pager.Stdin, pager.Stdout, pager.Stderr = strings.NewReader(text), a.stdout, a.stderr
		if err := pager.Start(); err == nil {
			// ^C is the pager's, which may take it for something else than its end.
			signal.Ignore(os.Interrupt)
			err := pager.Wait()
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
				return err
			}
			if code := pager.ProcessState.ExitCode(); code != notExecutable && code != notFound {
				return nil // it has shown what it wanted to
			}
			signal.Reset(os.Interrupt)
		}
	}
	_, err := a.stdout.WriteString(text)
	return err
}

// How sh ends where it cannot run a command (POSIX, Exit Status for Commands).
const (
	notExecutable = 126
	notFound      = 127
)

// pager is what $PAGER says, by sh as with git and man, or less, which ends by itself
// where the text fits the screen. It is nil where the output is no terminal.
func (a *app) pager() *exec.Cmd {
	if !term.IsTerminal(int(a.stdout.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	command, chosen := os.LookupEnv("PAGER")
	if !chosen {
		command = "less"
		if _, err := exec.LookPath(command); err != nil {
			return nil
		}
	}
	if command = strings.TrimSpace(command); command == "" || command == "cat" {
		return nil
	}
	cmd := exec.Command("sh", "-c", command)
	if os.Getenv("LESS") == "" {
		cmd.Env = append(os.Environ(), "LESS=FRX") // git's: quit if it fits, colours, leave it on the screen
	}
	return cmd
}
