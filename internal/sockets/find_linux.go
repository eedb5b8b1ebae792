package sockets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Sockets borrows every TCP socket of the process, by descriptor. A socket with
// several descriptors is there once, with the lowest. MPTCP sockets are counted
// only.
func (p *Process) Sockets() (found []*Borrowed, multipath int, err error) {
	defer func() {
		if err != nil {
			CloseAll(found)
			found = nil
		}
	}()
	dir := fmt.Sprintf("/proc/%d/fd", p.PID)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("process %d: %w", p.PID, ErrNoProcess)
	} else if err != nil {
		return nil, 0, fmt.Errorf("process %d: descriptors: %w", p.PID, errors.Unwrap(err))
	}
	var numbers []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	seen := map[string]bool{} // inodes, as in socket:[4711]
	for _, n := range numbers {
		link, err := os.Readlink(fmt.Sprintf("%s/%d", dir, n))
		if err != nil || !strings.HasPrefix(link, "socket:") || seen[link] {
			continue // closed since, no socket, or known
		}
		b, err := p.Borrow(n)
		if errors.Is(err, ErrMultipath) {
			seen[link] = true
			multipath++
		}
		if errors.Is(err, ErrNoFD) || errors.Is(err, ErrNotTCP) {
			continue
		} else if err != nil {
			return found, multipath, err
		}
		seen[link] = true
		found = append(found, b)
	}
	return found, multipath, nil
}
