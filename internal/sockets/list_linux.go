package sockets

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"kax/internal/netns"
)

// bufferLen holds what the kernel puts into one datagram (netlink_dump: 32 KiB).
const bufferLen = 64 << 10

// List reads the kernel's table, of the calling thread's network namespace or
// of Query.PID's.
func List(q Query) (*Table, error) {
	if q.PID == 0 {
		return list(q)
	}
	p, err := OpenProcess(q.PID)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if elsewhere, err := otherNetwork(q.PID); err != nil || !elsewhere {
		return list(q) // what may not be known of the process, its descriptors tell
	}
	var t *Table
	err = netns.At(q.PID, func() (err error) { t, err = list(q); return err })
	return t, err
}

// otherNetwork reports that a process has another network namespace than the
// calling thread.
func otherNetwork(pid int) (bool, error) {
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return false, err
	}
	ours, err := os.Readlink("/proc/thread-self/ns/net")
	return theirs != ours, err
}

func list(q Query) (*Table, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	defer unix.Close(fd)
	t := new(Table)
	buf := make([]byte, bufferLen)
	zones := map[uint32]string{}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		changed, err := dump(fd, family, q.States.mask(), buf, func(s *Socket) {
			if !q.wants(s) {
				return
			}
			if s.device != 0 {
				s.name(zones)
			}
			t.Sockets = append(t.Sockets, *s)
		})
		if errors.Is(err, unix.ENOENT) {
			err = fmt.Errorf("%w (%w: the kernel has no tcp_diag)", err, errors.ErrUnsupported)
		}
		if err != nil {
			return nil, err
		}
		t.Changed = t.Changed || changed
	}
	return t, t.findOwners(q)
}

// name gives link-local addresses the interface that they are good on.
func (s *Socket) name(zones map[uint32]string) {
	if !s.Local.Addr().IsLinkLocalUnicast() || !s.Local.Addr().Is6() {
		return
	}
	zone, ok := zones[s.device]
	if !ok {
		zone = strconv.FormatUint(uint64(s.device), 10)
		if i, err := net.InterfaceByIndex(int(s.device)); err == nil {
			zone = i.Name
		}
		zones[s.device] = zone
	}
	s.Local = withZone(s.Local, zone)
	s.Peer = withZone(s.Peer, zone)
}

// findOwners looks through the descriptors of every process, once.
func (t *Table) findOwners(q Query) error {
	w := walk{table: t, settings: q.Settings}
	w.index()
	if q.PID != 0 {
		n, err := w.process(q.PID)
		if err = cmp.Or(err, w.denied); err != nil {
			return fmt.Errorf("process %d: read its descriptors: %w", q.PID, err)
		}
		t.Descriptors = n
		t.Sockets = slices.DeleteFunc(t.Sockets, func(s Socket) bool { return s.Owner.PID == 0 })
		w.index()
	}
	pids, err := processes()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if pid == q.PID {
			continue
		}
		// A process may be gone by now; others are counted.
		if _, err := w.process(pid); errors.Is(err, os.ErrPermission) {
			w.denied = err
		}
	}
	if q.Settings {
		w.explain()
	}
	return nil
}

// processes lists the numbers of all that run, in their order.
func processes() ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}
