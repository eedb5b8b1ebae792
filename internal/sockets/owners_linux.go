package sockets

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"kax/tcpka"
)

// walk goes through the descriptors of processes, in search of a table's
// sockets.
type walk struct {
	table    *Table
	settings bool  // read them from the first process that lends the socket
	denied   error // of a process whose descriptors may not be seen
	byInode  []int32
	link     [64]byte
}

// index sorts the sockets that a process may have open by inode. Several have
// the same where they are the paths of one MPTCP socket.
func (w *walk) index() {
	w.byInode = w.byInode[:0]
	for i := range w.table.Sockets {
		if w.table.Sockets[i].inode != 0 {
			w.byInode = append(w.byInode, int32(i))
		}
	}
	slices.SortFunc(w.byInode, func(a, b int32) int { return cmp.Compare(w.inode(a), w.inode(b)) })
}

func (w *walk) inode(i int32) uint32 { return w.table.Sockets[i].inode }

// find returns the sockets with an inode.
func (w *walk) find(inode uint32) []int32 {
	from, ok := slices.BinarySearchFunc(w.byInode, inode, func(i int32, want uint32) int { return cmp.Compare(w.inode(i), want) })
	if !ok {
		return nil
	}
	to := from + 1
	for to < len(w.byInode) && w.inode(w.byInode[to]) == inode {
		to++
	}
	return w.byInode[from:to]
}

// process goes through one process's descriptors, and returns how many there
// are.
func (w *walk) process(pid int) (int, error) {
	dir, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	l := lender{pid: pid}
	defer l.close()
	total := 0
	for {
		names, err := dir.Readdirnames(1024)
		total += len(names)
		for _, name := range names {
			for _, i := range w.find(w.socketInode(int(dir.Fd()), name)) {
				w.found(&w.table.Sockets[i], &l, name)
			}
		}
		if err != nil { // the end, or the process has ended
			return total, nil
		}
	}
}

// socketInode reads a link like socket:[12345]; 0 is anything else. The
// numbers are the same in every network namespace: all are of one sockfs.
func (w *walk) socketInode(dir int, name string) uint32 {
	n, err := unix.Readlinkat(dir, name, w.link[:])
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			w.denied = err
		}
		return 0
	}
	digits, ok := bytes.CutPrefix(w.link[:n], []byte("socket:["))
	if !ok {
		return 0
	}
	inode := uint32(0)
	for _, c := range bytes.TrimSuffix(digits, []byte("]")) {
		inode = inode*10 + uint32(c-'0')
	}
	return inode
}

func (w *walk) found(s *Socket, l *lender, name string) {
	number, err := strconv.Atoi(name)
	if err != nil {
		return
	}
	owner := Owner{PID: l.pid, Process: l.process(), FD: number}
	if s.Owner.PID == 0 {
		s.Owner = owner
	} else {
		s.Also = append(s.Also, owner)
	}
	if w.settings && !s.Read() {
		s.Settings, s.Unread = l.settings(number, s.cookie)
	}
}

// explain says why the settings of sockets without a known owner were not read.
func (w *walk) explain() {
	me := uint32(os.Geteuid())
	for i := range w.table.Sockets {
		switch s := &w.table.Sockets[i]; {
		case s.Owner.PID != 0:
		case s.inode == 0:
			s.Unread = Ownerless
		case me != 0 && s.UID != me:
			s.Unread = Foreign
		case w.denied != nil:
			s.Unread = Forbidden
		default:
			s.Unread = OutOfSight
		}
	}
}

// lender is a process on the way through its descriptors: opened with the first
// that is wanted.
type lender struct {
	pid     int
	name    string
	open    *Process
	refused Reason // why it lends nothing
}

func (l *lender) close() {
	if l.open != nil {
		l.open.Close()
	}
}

func (l *lender) process() string {
	if l.name == "" {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", l.pid))
		l.name = string(bytes.TrimSuffix(comm, []byte("\n")))
	}
	return l.name
}

// settings borrows a socket for as long as it takes to read its options. It
// makes no error, of which there might be one a socket.
func (l *lender) settings(number int, cookie uint64) (tcpka.Settings, Reason) {
	if l.refused != "" {
		return tcpka.Settings{}, l.refused
	}
	fd, err := l.borrow(number)
	if err != nil {
		return tcpka.Settings{}, l.reason(err)
	}
	defer unix.Close(fd)
	// The number may have been given to another socket since.
	if got, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE); err != nil || got != cookie {
		if proto, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); err == nil && proto == unix.IPPROTO_MPTCP {
			return tcpka.Settings{}, Multipath // which has its paths' inode
		}
		return tcpka.Settings{}, Changed
	}
	set, err := tcpka.GetFD(uintptr(fd))
	if err != nil {
		return tcpka.Settings{}, Unreadable
	}
	return set, ""
}

func (l *lender) borrow(number int) (int, error) {
	if l.open == nil {
		p, err := OpenProcess(l.pid)
		if err != nil {
			return -1, err
		}
		l.open = p
	}
	return unix.PidfdGetfd(l.open.pidfd, number, 0)
}

func (l *lender) reason(err error) Reason {
	switch {
	case errors.Is(err, os.ErrPermission):
		l.refused = Forbidden
		return Forbidden
	case errors.Is(err, unix.ENOSYS):
		l.refused = OldKernel
		return OldKernel
	case errors.Is(err, unix.EBADF), errors.Is(err, unix.ESRCH), errors.Is(err, ErrNoProcess):
		return Changed
	}
	return Unreadable
}

func withZone(a netip.AddrPort, zone string) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().WithZone(zone), a.Port())
}
