// Command performance opens established TCP connections over loopback, runs
// commands beside them, and says what these took. docs/performance.md says what
// for.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	rounds = 10
	// perHolder is how many sockets a process holds: below the usual limit of
	// descriptors, and the number of ports to dial from.
	perHolder = 16000
)

func main() {
	err := errors.New("usage: performance SOCKETS 'COMMAND ARG...'")
	if len(os.Args) == 3 && os.Args[1] == "hold" {
		err = hold(os.Args[2])
	} else if len(os.Args) > 2 {
		err = measure(os.Args[1], os.Args[2:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "performance:", err)
		os.Exit(1)
	}
}

// hold keeps so many sockets open until stdin ends.
func hold(number string) error {
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var open []net.Conn
	for len(open) < n {
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			return err
		}
		s, err := l.Accept()
		if err != nil {
			return err
		}
		open = append(open, c, s)
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func measure(number string, commands []string) error {
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	for ; n > 0; n -= perHolder {
		end, err := holder(min(n, perHolder))
		if err != nil {
			return err
		}
		defer end()
	}
	took := make([][]time.Duration, len(commands))
	peak := make([]int64, len(commands))
	for range rounds { // in turn: what disturbs one disturbs all
		for i, c := range commands {
			d, rss, err := once(strings.Fields(c))
			if err != nil {
				return fmt.Errorf("%s: %w", c, err)
			}
			took[i], peak[i] = append(took[i], d), max(peak[i], rss)
		}
	}
	for i, c := range commands {
		slices.Sort(took[i])
		fmt.Printf("median %4d ms, %4d to %4d, %3d MiB at most: %s\n", took[i][rounds/2].Milliseconds(),
			took[i][0].Milliseconds(), took[i][rounds-1].Milliseconds(), peak[i]>>10, c)
	}
	return nil
}

// holder starts a process that holds n sockets; end ends it.
func holder(n int) (end func(), err error) {
	cmd := exec.Command("/proc/self/exe", "hold", strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, fmt.Errorf("hold %d sockets: %w", n, errors.Join(err, cmd.Wait()))
	}
	return func() { _, _ = in.Close(), cmd.Wait() }, nil
}

// once runs a command into a file, and returns its time and peak of memory.
func once(args []string) (time.Duration, int64, error) {
	out, err := os.CreateTemp("", "performance-")
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = os.Remove(out.Name()) }()
	defer out.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, 0, err
	}
	took := time.Since(start)
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, 0, errors.New("no usage")
	}
	return took, usage.Maxrss, nil // KiB (getrusage(2))
}
