package timeline

import "net/netip"

// Socket is a TCP socket of this machine. What could not be read is absent, and
// Unread says why.
type Socket struct {
	State        string         `json:"state"` // as ss(8) names it: ESTAB, LISTEN
	Local        netip.AddrPort `json:"local"`
	Peer         netip.AddrPort `json:"peer"`
	UID          uint32         `json:"uid"`
	PID          int            `json:"pid,omitempty"` // of the first process that has it; none where nobody has, or nobody may know
	Process      string         `json:"process,omitempty"`
	FD           *int           `json:"fd,omitempty"`
	Also         []Owner        `json:"also,omitempty"` // the other processes, and descriptors
	Timer        string         `json:"timer,omitempty"`
	Expires      Seconds        `json:"expires,omitempty"`       // what is left of the timer
	ProbesOut    int            `json:"probes_out"`              // unanswered probes
	LastSent     *Seconds       `json:"last_sent,omitempty"`     // ago: data that went out
	LastReceived *Seconds       `json:"last_received,omitempty"` // ago: data that came in
	LastAck      *Seconds       `json:"last_ack,omitempty"`      // ago: an acknowledgment that came in
	Keepalive    *bool          `json:"keepalive,omitempty"`
	*KeepaliveTimes
	Unread string `json:"unread,omitempty"`
	Orphan bool   `json:"orphan,omitempty"` // no process has it open: it has no settings to be known
	Busy   string `json:"busy,omitempty"`   // why the question does not arise now: the kernel is sending on it
	Cut    string `json:"cut,omitempty"`    // why the middlebox that was asked about would cut it
	Fix    string `json:"fix,omitempty"`    // the command against that
	Next   string `json:"next,omitempty"`   // what the kernel will do, in words
}

// KeepaliveTimes are a socket's settings, where they could be read.
type KeepaliveTimes struct {
	Idle        Seconds `json:"keepidle"`
	Interval    Seconds `json:"keepintvl"`
	Count       int     `json:"keepcnt"`
	UserTimeout Seconds `json:"user_timeout"`
}

// Owner is a process that has a socket open.
type Owner struct {
	PID     int    `json:"pid"`
	Process string `json:"process"`
	FD      int    `json:"fd"`
}

// Change is what was done to a running program's socket.
type Change struct {
	Owner
	State  string           `json:"state"`
	Local  netip.AddrPort   `json:"local"`
	Peer   netip.AddrPort   `json:"peer"`
	Before KeepaliveOptions `json:"before"`
	After  KeepaliveOptions `json:"after"`
	Next   string           `json:"next"` // what the kernel will do, in words
}

// Poke is a probe that was asked for.
type Poke struct {
	Owner
	Local  netip.AddrPort `json:"local"`
	Peer   netip.AddrPort `json:"peer"`
	Result string         `json:"result"` // answered, unanswered or reset
	After  Seconds        `json:"after"`  // of an answer: since the probe went out
	Waited Seconds        `json:"waited"`
	Note   string         `json:"note,omitempty"` // what the poke leaves changed
}
