package sockets

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
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
	var room block
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		changed, err := dump(fd, family, q.States.mask(), buf, func(s *Socket) {
			if !q.wants(s) {
				return
			}
			if s.device != 0 {
				s.name(zones)
			}
			t.Sockets = append(t.Sockets, room.put(s))
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

// block is room for sockets, which are many.
type block []Socket

func (b *block) put(s *Socket) *Socket {
	if len(*b) == cap(*b) {
		*b = make(block, 0, 256)
	}
	*b = append(*b, *s)
	return &(*b)[len(*b)-1]
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
	x := indexInodes(t.Sockets)
	if q.PID != 0 {
		h := holdings{pid: q.PID}
		h.look(x)
		if h.err != nil {
			return fmt.Errorf("process %d: its descriptors: %w", q.PID, h.err)
		}
		t.own(&h)
		t.Descriptors = h.total
		t.Sockets = slices.DeleteFunc(t.Sockets, func(s *Socket) bool { return s.Owner.PID == 0 })
		x = indexInodes(t.Sockets)
	}
	all, err := processes()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(h holdings) bool { return h.pid == q.PID })
	parallel(len(all), func(i int) { all[i].look(x) })
	denied := false
	for i := range all {
		denied = denied || errors.Is(all[i].err, os.ErrPermission) // others are gone by now
		t.own(&all[i])
	}
	if q.Settings {
		t.readSettings()
		t.explain(denied)
	}
	return nil
}

// processes lists all that run, in the order of their numbers.
func processes() ([]holdings, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var all []holdings
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			all = append(all, holdings{pid: pid})
		}
	}
	slices.SortFunc(all, func(a, b holdings) int { return cmp.Compare(a.pid, b.pid) })
	return all, nil
}

func withZone(a netip.AddrPort, zone string) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().WithZone(zone), a.Port())
}
