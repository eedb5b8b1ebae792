package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// loadSeconds is how long each round lasts.
const loadSeconds = 10

// measureWatch watches a load on loopback by kax and by tcpdump at once, in so
// many rounds.
func measureWatch(kax string, rounds int) error {
	dir, err := os.MkdirTemp("", "performance-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	port, end, err := serve(dir)
	if err != nil {
		return err
	}
	defer end()
	var watched, dumped captured
	for range rounds {
		watch := &beside{cmd: exec.Command(kax, "watch", "-i", "lo", "--port", port, "--summary", "--json")}
		dump := &beside{cmd: exec.Command("tcpdump", "-n", "-i", "lo", "-Z", "root", "-w", filepath.Join(dir, "packets"), "port", port)}
		if err := underLoad(port, watch, dump); err != nil {
			return err
		}
		if err := errors.Join(watch.readSummary(), dump.readCounts()); err != nil {
			return err
		}
		watched.add(watch)
		dumped.add(dump)
	}
	fmt.Println("| command | packets | lost | processor time, median | memory at most |\n|---|---|---|---|---|")
	watched.print("kax watch --summary")
	dumped.print("tcpdump -w FILE")
	fmt.Printf("\nProcessor time of kax for tcpdump's, median of %d rounds: %.2f\n", rounds, watched.processor.over(dumped.processor))
	return nil
}

// underLoad lets both capture while wrk loads the server.
func underLoad(port string, both ...*beside) error {
	for _, b := range both {
		if err := b.begin(); err != nil {
			return err
		}
	}
	load, err := exec.Command("wrk", "-t1", "-c32", "-d"+strconv.Itoa(loadSeconds)+"s", "http://127.0.0.1:"+port+"/").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("wrk: %w: %s", err, load)
	}
	time.Sleep(2 * time.Second) // until both have taken what the kernel holds
	for _, b := range both {
		err = errors.Join(err, b.end())
	}
	return err
}

// captured is what a program has captured in all rounds.
type captured struct {
	packets, lost int
	processor     took
	memory        int64
}

func (c *captured) add(b *beside) {
	c.packets += b.packets
	c.lost += b.lost
	c.processor.time = append(c.processor.time, b.processor)
	c.memory = max(c.memory, b.memory)
}

func (c *captured) print(name string) {
	fmt.Printf("| `%s` | %d | %d | %.2f s | %d MiB |\n", name, c.packets, c.lost, c.processor.median().Seconds(), c.memory>>20)
}

// serve starts nginx on a free port of loopback.
func serve(dir string) (port string, end func(), err error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address := l.Addr().String()
	_ = l.Close()
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; pid %[1]s/pid; worker_processes 1; error_log stderr;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 1000000000; server { listen %[2]s; return 200 "a body of a line\n"; } }
`, dir, address)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return "", nil, err
	}
	cmd := exec.Command("nginx", "-p", dir, "-c", conf)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	end = func() { _, _ = cmd.Process.Signal(syscall.SIGTERM), cmd.Wait() }
	for range 100 {
		c, err := net.Dial("tcp4", address)
		if err == nil {
			_ = c.Close()
			_, port, err = net.SplitHostPort(address)
			return port, end, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	end()
	return "", nil, fmt.Errorf("nginx does not listen on %s", address)
}

// beside is a program that captures meanwhile.
type beside struct {
	cmd           *exec.Cmd
	out, said     bytes.Buffer
	packets, lost int
	processor     time.Duration
	memory        int64
}

// begin starts it, and waits until it captures.
func (b *beside) begin() error {
	before, err := capturing()
	if err != nil {
		return err
	}
	b.cmd.Stdout, b.cmd.Stderr = &b.out, &b.said
	if err := b.cmd.Start(); err != nil {
		return err
	}
	for range 200 {
		time.Sleep(50 * time.Millisecond)
		if now, err := capturing(); err != nil || now > before {
			return err
		}
	}
	return errors.Join(fmt.Errorf("%v captures nothing", b.cmd.Args), b.end())
}

// capturing is how many packet sockets of this network take every protocol.
func capturing() (int, error) {
	table, err := os.ReadFile("/proc/self/net/packet")
	const every = "0003" // ETH_P_ALL
	return strings.Count(string(table), " "+every+" "), err
}

// end interrupts it, as ^C does.
func (b *beside) end() error {
	if err := b.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return fmt.Errorf("%v: %w: %s", b.cmd.Args, err, &b.said)
	}
	err := b.cmd.Wait()
	const interrupted = 130
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == interrupted {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("%v: %w: %s", b.cmd.Args, err, &b.said)
	}
	usage, err := used(b.cmd)
	if err != nil {
		return err
	}
	b.processor = b.cmd.ProcessState.UserTime() + b.cmd.ProcessState.SystemTime()
	b.memory = usage.Maxrss << 10
	return nil
}

// readSummary takes the numbers from kax's summary record.
func (b *beside) readSummary() error {
	for line := range bytes.Lines(b.out.Bytes()) {
		var r struct {
			Summary *struct{ Packets, Dropped int }
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("kax's record %q: %w", line, err)
		}
		if r.Summary != nil {
			b.packets, b.lost = r.Summary.Packets, r.Summary.Dropped
			return nil
		}
	}
	return fmt.Errorf("kax has no summary: %s", &b.said)
}

// readCounts takes the numbers that tcpdump ends with.
func (b *beside) readCounts() error {
	m := regexp.MustCompile(`(\d+) packets captured\n\d+ packets received by filter\n(\d+) packets dropped`).FindStringSubmatch(b.said.String())
	if m == nil {
		return fmt.Errorf("tcpdump has no counts: %s", &b.said)
	}
	var err, err2 error
	b.packets, err = strconv.Atoi(m[1])
	b.lost, err2 = strconv.Atoi(m[2])
	return errors.Join(err, err2)
}
