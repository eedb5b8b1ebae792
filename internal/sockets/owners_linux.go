package sockets

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"kax/tcpka"
)

// inodes finds sockets by inode. Each is an inode and, in the lower half, a
// place in the table; the order is theirs. Several sockets have the same inode
// where they are the paths of one MPTCP socket; those that no process can have
// open have none.
type inodes []uint64

func indexInodes(list []*Socket) inodes {
	x := make(inodes, 0, len(list))
	for i, s := range list {
		if s.inode != 0 {
			x = append(x, uint64(s.inode)<<32|uint64(i))
		}
	}
	slices.Sort(x)
	return x
}

// find calls f with each place of an inode.
func (x inodes) find(inode uint32, f func(place int)) {
	at, _ := slices.BinarySearch(x, uint64(inode)<<32)
	for ; at < len(x) && uint32(x[at]>>32) == inode; at++ {
		f(int(uint32(x[at])))
	}
}

// holdings are the sockets of a table that a process has open.
type holdings struct {
	pid   int
	name  string
	total int // descriptors of any kind
	hits  []hit
	err   error // why it may not be told, or not all of it
}

type hit struct{ place, fd int }

// look goes through the descriptors of a process.
func (h *holdings) look(x inodes) {
	dir, err := os.Open(fmt.Sprintf("/proc/%d/fd", h.pid))
	if err != nil {
		h.err = err
		return
	}
	defer dir.Close()
	var buf [64]byte
	for err == nil { // then: the end, or the process has ended
		var names []string
		names, err = dir.Readdirnames(1024)
		h.total += len(names)
		for _, name := range names {
			n, err := unix.Readlinkat(int(dir.Fd()), name, buf[:])
			if errors.Is(err, os.ErrPermission) {
				h.err = err
			}
			if inode := socketInode(buf[:max(n, 0)]); inode != 0 {
				fd, _ := strconv.Atoi(name)
				x.find(inode, func(place int) { h.hits = append(h.hits, hit{place, fd}) })
			}
		}
	}
	if len(h.hits) > 0 {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", h.pid))
		h.name = string(bytes.TrimSuffix(comm, []byte("\n")))
	}
}

// socketInode reads a link like socket:[12345]; 0 is anything else. The
// numbers are the same in every network namespace: all are of one sockfs.
func socketInode(link []byte) uint32 {
	digits, ok := bytes.CutPrefix(link, []byte("socket:["))
	if !ok {
		return 0
	}
	inode := uint32(0)
	for _, c := range bytes.TrimSuffix(digits, []byte("]")) {
		inode = inode*10 + uint32(c-'0')
	}
	return inode
}

// own notes in the table whose its sockets are.
func (t *Table) own(h *holdings) {
	for _, hit := range h.hits {
		s, o := t.Sockets[hit.place], Owner{PID: h.pid, Process: h.name, FD: hit.fd}
		if s.Owner.PID == 0 {
			s.Owner = o
		} else {
			s.Also = append(s.Also, o)
		}
	}
}

// readSettings borrows each socket from its owner, or from the first of the
// others that lends it.
func (t *Table) readSettings() {
	owned := make([]*Socket, 0, len(t.Sockets))
	for _, s := range t.Sockets {
		if s.Owner.PID != 0 {
			owned = append(owned, s)
		}
	}
	slices.SortFunc(owned, func(a, b *Socket) int { return cmp.Compare(a.Owner.PID, b.Owner.PID) })
	const share = 1024
	parallel((len(owned)+share-1)/share, func(i int) {
		var l lender
		defer l.close()
		for _, s := range owned[i*share : min((i+1)*share, len(owned))] {
			l.read(s, s.Owner)
			for _, o := range s.Also {
				if !s.Read() {
					l.read(s, o)
				}
			}
		}
	})
}

// explain says why the settings of sockets without a known owner were not read.
func (t *Table) explain(denied bool) {
	me := uint32(os.Geteuid())
	for _, s := range t.Sockets {
		switch {
		case s.Owner.PID != 0:
		case s.inode == 0:
			s.Unread = Ownerless
		case me != 0 && s.UID != me:
			s.Unread = Foreign
		case denied:
			s.Unread = Forbidden
		default:
			s.Unread = OutOfSight
		}
	}
}

// parallel calls f with 0 to n-1, on every processor.
func parallel(n int, f func(int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// lender is the process that was borrowed from last.
type lender struct {
	open    *Process // nil until there is one
	refused Reason   // why it lends nothing
}

func (l *lender) close() {
	if l.open != nil {
		l.open.Close()
	}
}

// read borrows a socket for as long as it takes to read its options. It makes
// no error, of which there might be one a socket.
func (l *lender) read(s *Socket, from Owner) {
	fd, err := l.borrow(from)
	if err != nil {
		s.Unread = l.reason(err)
		return
	}
	defer unix.Close(fd)
	// The number may have been given to another socket since.
	if got, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE); err != nil || got != s.cookie {
		s.Unread = Changed
		if proto, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); err == nil && proto == unix.IPPROTO_MPTCP {
			s.Unread = Multipath // which has the inode of its paths
		}
		return
	}
	if s.Settings, err = tcpka.GetFD(uintptr(fd)); err != nil {
		s.Unread = Unreadable
		return
	}
	s.Unread = ""
}

var errRefused = errors.New("this process lends nothing")

func (l *lender) borrow(from Owner) (int, error) {
	if l.open == nil || l.open.PID != from.PID {
		l.close()
		l.open, l.refused = nil, ""
		p, err := OpenProcess(from.PID)
		if err != nil {
			return -1, err
		}
		l.open = p
	}
	if l.refused != "" {
		return -1, errRefused
	}
	return unix.PidfdGetfd(l.open.pidfd, from.FD, 0)
}

func (l *lender) reason(err error) Reason {
	switch {
	case errors.Is(err, errRefused):
	case errors.Is(err, os.ErrPermission):
		l.refused = Forbidden
	case errors.Is(err, unix.ENOSYS):
		l.refused = OldKernel
	case errors.Is(err, unix.EBADF), errors.Is(err, unix.ESRCH), errors.Is(err, ErrNoProcess):
		return Changed
	default:
		return Unreadable
	}
	return l.refused
}
