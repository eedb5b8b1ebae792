package cli

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
)

// ownSSH are the two ends of the SSH connection that kax is used over, or nothing:
// showing its packets would send more of them. sshd(8) leaves them in the
// environment; sudo takes that away, so that a parent's is asked too, where it may
// be read.
func ownSSH() []netip.AddrPort {
	text := os.Getenv("SSH_CONNECTION")
	for pid, depth := os.Getppid(), 0; text == "" && pid > 1 && depth < 8; depth++ {
		text = variable(pid, "SSH_CONNECTION")
		pid = parent(pid)
	}
	words := strings.Fields(text)
	if len(words) != 4 {
		return nil
	}
	var ends []netip.AddrPort
	for i := 0; i < len(words); i += 2 {
		addr, err := netip.ParseAddr(words[i])
		if err != nil {
			return nil
		}
		var port uint16
		if _, err := fmt.Sscan(words[i+1], &port); err != nil {
			return nil
		}
		ends = append(ends, netip.AddrPortFrom(addr.Unmap().WithZone(""), port))
	}
	return ends
}

// variable is one of a process's environment (proc_pid_environ(5)).
func variable(pid int, name string) string {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return ""
	}
	for entry := range strings.SplitSeq(string(environ), "\x00") {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// parent is a process's, 0 where that is not to be known (proc_pid_stat(5)).
func parent(pid int) (ppid int) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name before it may hold anything.
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	var state string
	if _, err := fmt.Sscan(rest, &state, &ppid); err != nil {
		return 0
	}
	return ppid
}
