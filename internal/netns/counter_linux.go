package netns

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Counter reads one of the kernel's TCP counters, by group and name as in
// ("TcpExt", "TCPKeepAlive") or ("Tcp", "RetransSegs"), of the calling thread's
// network namespace (proc_pid_net(5), net/ipv4/proc.c).
func Counter(group, name string) (int, error) {
	file := "snmp" // RFC 1213's
	if strings.HasSuffix(group, "Ext") {
		file = "netstat"
	}
	// /proc/net is the main thread's namespace, whoever asks.
	f, err := os.Open("/proc/thread-self/net/" + file)
	if err != nil {
		return 0, fmt.Errorf("read counter %s: %w", name, err)
	}
	defer f.Close()
	n, err := readCounter(f, group, name)
	if err != nil {
		return 0, fmt.Errorf("read counter %s: %w", name, err)
	}
	return n, nil
}

// readCounter finds a counter in pairs of lines: names, then values.
func readCounter(r io.Reader, group, name string) (int, error) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		names := strings.Fields(s.Text())
		if !s.Scan() {
			break
		}
		values := strings.Fields(s.Text())
		if len(names) == 0 || names[0] != group+":" || len(values) == 0 || values[0] != names[0] {
			continue
		}
		for i := 1; i < min(len(names), len(values)); i++ {
			if names[i] == name {
				return strconv.Atoi(values[i])
			}
		}
	}
	if err := s.Err(); err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("no counter %s in %s", name, group)
}
