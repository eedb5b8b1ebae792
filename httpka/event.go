package httpka

import (
	"net"
	"net/netip"
	"time"
)

// Kind is what an [Event] tells of.
type Kind uint8

// The kinds of events.
const (
	Opened    Kind = iota // a server has accepted a connection
	Request               // a client sends a request
	Response              // a server sends a final response
	Interim               // a server sends a 1xx response
	Upgrade               // a server sends 101: the connection leaves HTTP
	IdleClose             // a server closes a connection that was idle for its timeout
	Error                 // a client's request has failed on its connection (without one there is no event), or the sending of a server's response
	Retry                 // a client sends a request again, on another connection
	Closed                // a server's connection is over
)

var kindNames = [...]string{
	Opened: "opened", Request: "request", Response: "response", Interim: "interim",
	Upgrade: "upgrade", IdleClose: "idle-close", Error: "error", Retry: "retry", Closed: "closed",
}

func (k Kind) String() string { return kindNames[k] }

// An Event is one thing that an end of a connection did. What goes on the wire
// is told by its sender, just before the system call that sends it, so that an
// event's time is never later than that of its packets.
type Event struct {
	Kind       Kind
	Time       time.Time
	Client     netip.AddrPort
	Server     netip.AddrPort
	FromServer bool // who did it
	Conn       int  // a server's number of the connection, from 1; a client gives none

	Method, Target string // of a request, of the one a response answers, and of one that Closed leaves without
	Status         int    // of a response
	Version        string // of the message, as in "HTTP/1.1"
	Connection     string // the header as sent, or empty
	KeepAlive      string // likewise

	Nth    int           // which message of its kind on this connection, from 1
	Reused bool          // the connection has carried a request before
	Idle   time.Duration // how long it was idle before: Request and IdleClose
	Reason string        // of Closed: why
	Err    error         // of Error
}

// says fills in what the head of a message says.
func (e *Event) says(m *Message) {
	e.Status, e.Version, e.Connection, e.KeepAlive = m.Status, m.Version, m.Connection, m.KeepAlive
	if m.Method != "" { // a response has none where its request is not known
		e.Method, e.Target = m.Method, m.Target
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
