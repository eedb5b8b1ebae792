package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// measureRead reads a generated capture by kax and by others.
func measureRead(kax string, rounds int) error {
	dir, err := os.MkdirTemp("", "performance-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	short, long := filepath.Join(dir, "short.pcap"), filepath.Join(dir, "long.pcap")
	if err := generate(short, 1); err != nil {
		return err
	}
	commands := [][]string{
		{kax, "read", "--summary", short},
		{kax, "read", short},
		{"tcpdump", "-r", short, "-w", "/dev/null"},
		{"tcptrace", "-n", short},
		{"capinfos", short},
		{"tcpdump", "-n", "-r", short},
		{"tshark", "-r", short, "-q", "-z", "conv,tcp"},
		{"tshark", "-r", short, "-Y", "tcp.analysis.keep_alive"},
	}
	all, err := inTurn(rounds, commands)
	if err != nil {
		return err
	}
	fmt.Println("| command | wall, median | least | computes, median | × `kax read --summary FILE` | × `kax read FILE` | memory at most |\n|---|---|---|---|---|---|---|")
	for i, t := range all {
		fmt.Printf("| `%s` | %.3g s | %.3g s | %.3g s | %.3g | %.3g | %d MiB |\n", shown(commands[i], kax),
			t.median().Seconds(), slices.Min(t.time).Seconds(), median(t.cpu).Seconds(), t.over(all[0]), t.over(all[1]), t.memory>>20)
	}
	if err := generate(long, 10); err != nil {
		return err
	}
	again := [][]string{{kax, "read", "--summary", long}}
	tenfold, err := inTurn(min(rounds, 3), again)
	if err != nil {
		return err
	}
	fmt.Printf("\nTen times as long, the same connections: %.2f s, %d MiB at most.\n", tenfold[0].median().Seconds(), tenfold[0].memory>>20)
	return nil
}

// generate writes a capture, and waits until it is on the disk: that takes time
// from whoever runs meanwhile.
func generate(name string, length int) error {
	cmd := exec.Command("go", "run", "./docs/performance/generate", "-length", strconv.Itoa(length), name)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("generate a capture, from the project's folder: %w", err)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// shown is a command as one would type it.
func shown(args []string, kax string) string {
	line := strings.Join(args, " ")
	line = strings.Replace(line, kax+" ", "kax ", 1)
	for _, arg := range args {
		if filepath.IsAbs(arg) && strings.HasSuffix(arg, ".pcap") {
			line = strings.Replace(line, arg, "FILE", 1)
		}
	}
	return line
}
