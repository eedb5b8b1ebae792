package sockets

import "time"

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

	at     time.Time // just before the reading
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
