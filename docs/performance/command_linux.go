package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// took is what a command has taken in each round.
type took struct {
	time   []time.Duration
	cpu    []time.Duration // of all processors, user and system
	memory int64           // the most that was resident, in bytes
}

func (t took) median() time.Duration { return median(t.time) }

// over is the median of how many times as long as the other it took, round by
// round: what disturbs a round disturbs both.
func (t took) over(other took) float64 {
	var all []float64
	for i := range t.time {
		all = append(all, t.time[i].Seconds()/other.time[i].Seconds())
	}
	return median(all)
}

func median[T ~int64 | ~float64](all []T) T {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// inTurn runs each command once a round.
func inTurn(rounds int, commands [][]string) ([]took, error) {
	all := make([]took, len(commands))
	for range rounds {
		for i, args := range commands {
			wall, usage, err := once(args)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", strings.Join(args, " "), err)
			}
			all[i].time = append(all[i].time, wall)
			all[i].cpu = append(all[i].cpu, time.Duration(usage.Utime.Nano()+usage.Stime.Nano()))
			all[i].memory = max(all[i].memory, usage.Maxrss<<10) // from KiB (getrusage(2))
		}
	}
	return all, nil
}

// once runs a command into a file, and returns its time and what it has used.
func once(args []string) (time.Duration, *syscall.Rusage, error) {
	out, err := os.CreateTemp("", "performance-")
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = os.Remove(out.Name()) }()
	defer out.Close()
	var said strings.Builder
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = out, &said
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, nil, fmt.Errorf("%w: %s", err, said.String())
	}
	wall := time.Since(start)
	usage, err := used(cmd)
	return wall, usage, err
}

// used is what a command that has ended has used (wait4(2)).
func used(cmd *exec.Cmd) (*syscall.Rusage, error) {
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return nil, errors.New("no usage")
	}
	return usage, nil
}

// number calls f with an argument that may be left out.
func number(args []string, otherwise int, f func(int) error) error {
	if len(args) == 0 {
		return f(otherwise)
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 {
		return fmt.Errorf("%s: no number from 1 on", args[0])
	}
	return f(n)
}
