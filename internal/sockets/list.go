package sockets

import "time"

// A Query says which sockets to list. Its zero value is all of them, without
// their settings.
type Query struct {
	States   States
	Port     uint16        // local or peer's; 0 is any
	PID      int           // of a process that has it open, in whose network namespace to look; 0 is any
	IdleOver time.Duration // without data, either way, for longer
	Settings bool          // read the settings too
}

// A Table is the kernel's list of TCP sockets.
type Table struct {
	Sockets []*Socket
	// Changed means that the kernel's list changed so much while it was read that
	// a socket may be missing from it, or be there twice.
	Changed bool
	// Descriptors is how many the process of Query.PID has open, of any kind.
	Descriptors int
}

// wants is what can be asked of a socket before its owner is known.
func (q *Query) wants(s *Socket) bool {
	return (q.Port == 0 || s.Local.Port() == q.Port || s.Peer.Port() == q.Port) &&
		(q.IdleOver == 0 || s.Quiet > q.IdleOver)
}
