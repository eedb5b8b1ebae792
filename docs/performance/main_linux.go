// Command performance measures kax beside other programs, and says what each
// took. docs/performance.md says what for.
package main

import (
	"errors"
	"fmt"
	"os"
)

const usage = `usage:
  performance sockets NUMBER 'COMMAND ARG...'...
  performance read KAX [ROUNDS]
  performance watch KAX [ROUNDS]`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "performance:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "hold":
		return hold(args[1])
	case len(args) > 2 && args[0] == "sockets":
		return measureSockets(args[1], args[2:])
	case (len(args) == 2 || len(args) == 3) && args[0] == "read":
		return number(args[2:], 5, func(rounds int) error { return measureRead(args[1], rounds) })
	case (len(args) == 2 || len(args) == 3) && args[0] == "watch":
		return number(args[2:], 5, func(rounds int) error { return measureWatch(args[1], rounds) })
	}
	return errors.New(usage)
}
