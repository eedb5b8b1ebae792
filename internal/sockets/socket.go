package sockets

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"kax/tcpka"
)

// A Socket is one TCP socket of the kernel's table.
type Socket struct {
	State       State
	Timer       Timer
	Local, Peer netip.AddrPort
	UID         uint32
	Expires     time.Duration // what is left of the timer; may stand at 0 for a while
	Probes      int           // unanswered ones, keepalive's or a closed window's
	Sent        time.Duration // ago: data that went out; or Never
	Received    time.Duration // ago: data that came in; or Never
	Ack         time.Duration // ago: an acknowledgment that came in; or Never
	Quiet       time.Duration // since data went either way, or since the connection opened; or Never
	Owner       Owner         // the first process that has it; PID 0 is none, or none that may be known
	Also        []Owner       // the other processes, and descriptors
	Settings    tcpka.Settings
	Unread      Reason // why there are no Settings; empty where there are

	inode  uint32
	device uint32 // that it is bound to
	cookie uint64 // the kernel's name for the socket, never given twice (SO_COOKIE)
}

// Never is a time that the kernel has nothing to count from.
const Never time.Duration = -1

// An Owner is a process that has a socket open.
type Owner struct {
	PID     int
	Process string // its name, as the program has it: foreign text
	FD      int
}

// A Reason says why a socket's settings could not be read.
type Reason string

// The reasons.
const (
	NotAsked   Reason = "not asked for"
	Foreign    Reason = "another user's: needs root"
	Forbidden  Reason = "not permitted to look into its process"
	Ownerless  Reason = "no process has it open"
	OutOfSight Reason = "no process in sight has it open"
	Changed    Reason = "closed while it was read"
	Multipath  Reason = "an MPTCP socket"
	OldKernel  Reason = "needs Linux 5.6 (pidfd_getfd)"
	Unreadable Reason = "its options cannot be read"
)

// Read reports that the settings are the kernel's.
func (s *Socket) Read() bool { return s.Unread == "" }

// Keepalive tells whether keepalive is on, and whether that is known. Without
// the settings the kernel's word for it is the keepalive timer itself, where
// that can be no other.
func (s *Socket) Keepalive() (on, known bool) {
	if s.Read() {
		return s.Settings.Enabled, true
	}
	on = s.Timer == KeepaliveTimer && (s.State == Established || s.State == CloseWait)
	return on, on
}

// Loopback reports that the connection does not leave the machine: its peer has
// a loopback address, or its own.
func (s *Socket) Loopback() bool {
	return s.Peer.Addr().IsLoopback() || s.Peer.Addr() == s.Local.Addr()
}

// SortKeys are what Sort takes.
func SortKeys() []string {
	return []string{"local", "peer", "state", "pid", "process", "timer", "probes", "idle"}
}

// Sort orders sockets by a key, and those that are equal by their addresses.
// What is to be looked at first comes first: the shortest timer, the most
// probes, the longest idle time.
func Sort(list []*Socket, key string) {
	slices.SortFunc(list, func(a, b *Socket) int {
		return cmp.Or(compare(a, b, key), a.Local.Compare(b.Local), a.Peer.Compare(b.Peer), cmp.Compare(a.cookie, b.cookie))
	})
}

func compare(a, b *Socket, key string) int {
	switch key {
	case "peer":
		return a.Peer.Compare(b.Peer)
	case "state":
		return cmp.Compare(a.State, b.State)
	case "pid":
		return cmp.Or(later(a.Owner.PID == 0, b.Owner.PID == 0), cmp.Compare(a.Owner.PID, b.Owner.PID), cmp.Compare(a.Owner.FD, b.Owner.FD))
	case "process":
		return cmp.Or(later(a.Owner.PID == 0, b.Owner.PID == 0), cmp.Compare(a.Owner.Process, b.Owner.Process))
	case "timer":
		return cmp.Or(later(a.Timer == NoTimer, b.Timer == NoTimer), cmp.Compare(a.Expires, b.Expires))
	case "probes":
		return cmp.Compare(b.Probes, a.Probes)
	case "idle":
		return cmp.Compare(b.Quiet, a.Quiet)
	}
	return 0
}

// later puts what has nothing to compare behind what has.
func later(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
