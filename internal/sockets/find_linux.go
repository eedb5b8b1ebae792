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

// Sockets borrows the TCP sockets of the process that match, in the order of
// their descriptors, and gives the others back at once: a process may have more
// than kax may open. A socket with several descriptors is there once, with the
// lowest. The rest are counted: how many TCP sockets there are, and how many
// MPTCP ones, which are never borrowed.
func (p *Process) Sockets(match func(*Borrowed) bool) (found []*Borrowed, all, multipath int, err error) {
	defer func() {
		if err != nil {
			CloseAll(found)
			found = nil
		}
	}()
	dir := fmt.Sprintf("/proc/%d/fd", p.PID)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, 0, fmt.Errorf("process %d: %w", p.PID, ErrNoProcess)
	} else if err != nil {
		return nil, 0, 0, fmt.Errorf("process %d: descriptors: %w", p.PID, errors.Unwrap(err))
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
			return found, all, multipath, err
		}
		seen[link] = true
		all++
		if match(b) {
			found = append(found, b)
		} else {
			_ = b.Close()
		}
	}
	return found, all, multipath, nil
}
