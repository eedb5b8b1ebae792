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
)

const (
	socketRounds = 10
	// perHolder is how many sockets a process holds: below the usual limit of
	// descriptors, and the number of ports to dial from.
	perHolder = 16000
)

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

// measureSockets opens established connections over loopback, and runs commands
// beside them.
func measureSockets(number string, commands []string) error {
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
	var args [][]string
	for _, c := range commands {
		args = append(args, strings.Fields(c))
	}
	took, err := inTurn(socketRounds, args)
	if err != nil {
		return err
	}
	fmt.Println("| command | median | range | memory at most |\n|---|---|---|---|")
	for i, t := range took {
		fmt.Printf("| `%s` | %d ms | %d–%d ms | %d MiB |\n", commands[i], t.median().Milliseconds(),
			slices.Min(t.time).Milliseconds(), slices.Max(t.time).Milliseconds(), t.memory>>20)
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
