package sockets

import (
	"strconv"
	"time"
)

// State is where a TCP socket stands (net/tcp_states.h).
type State uint8

// The states that matter to keepalive.
const (
	Established State = 1
	SynSent     State = 2
	FinWait2    State = 5
	Closed      State = 7
	CloseWait   State = 8
	Listening   State = 10
)

// String is ss(8)'s name for the state.
func (s State) String() string {
	names := [...]string{"", "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT",
		"UNCONN", "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING", "SYN-RECV"}
	if s == 0 || int(s) >= len(names) {
		return "state " + strconv.Itoa(int(s))
	}
	return names[s]
}

// Status is what the kernel tells of one socket at one moment (TCP_INFO).
type Status struct {
	State        State
	ProbesOut    int           // unanswered probes
	LastSent     time.Duration // ago: data that went out
	LastReceived time.Duration // ago: data that came in
	LastAck      time.Duration // ago: an acknowledgment that came in
	Unacked      int           // segments on their way
	Unsent       int           // bytes that wait to be sent
	PeerWindow   int           // bytes that the peer has room for

	segsIn uint32
	moved  uint64 // bytes of data received and acknowledged, ever
}

// Quiet is how long the peer has not been heard. It is the clock that keepalive
// goes by (keepalive_time_elapsed in net/tcp.h): what the socket itself sends
// counts once it is acknowledged, and not before.
func (s Status) Quiet() time.Duration { return min(s.LastReceived, s.LastAck) }

// Waiting reports data that is not acknowledged yet. While there is some the
// kernel sends no probe (tcp_keepalive_timer in net/ipv4/tcp_timer.c).
func (s Status) Waiting() bool { return s.Unacked > 0 || s.Unsent > 0 }
