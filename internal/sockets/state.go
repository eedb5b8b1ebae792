package sockets

import (
	"fmt"
	"strings"
)

// State is a TCP state, by the kernel's number (include/net/tcp_states.h).
type State uint8

// The states that the code asks for by name.
const (
	Established State = 1
	SynSent     State = 2
	SynRecv     State = 3
	FinWait2    State = 5
	Closed      State = 7
	CloseWait   State = 8
	Listen      State = 10
)

// newSynRecv is how the kernel's table has a handshake in progress
// (TCP_NEW_SYN_RECV); it is told as SYN-RECV.
const newSynRecv State = 12

// stateNames are ss(8)'s.
func stateNames() []string {
	return []string{1: "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT",
		"UNCONN", "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING"}
}

func (s State) String() string {
	if names := stateNames(); s > 0 && int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// States is a set of states; empty, it is all of them.
type States uint32

const allStates States = 1<<(newSynRecv+1) - 1

// StateNames lists what ParseStates knows.
func StateNames() []string {
	var names []string
	for _, name := range stateNames()[1:] {
		names = append(names, strings.ToLower(name))
	}
	return names
}

// ParseStates takes ss's names, in any case, separated by commas.
func ParseStates(list string) (States, error) {
	var set States
	for word := range strings.SplitSeq(list, ",") {
		word = strings.ToLower(strings.TrimSpace(word))
		switch word {
		case "established":
			word = "estab"
		case "listening":
			word = "listen"
		case "closed":
			word = "unconn"
		}
		n := 0
		for i, name := range stateNames() {
			if name != "" && strings.EqualFold(name, word) {
				n = i
			}
		}
		if n == 0 {
			return 0, fmt.Errorf("%q: must be one of %s", word, strings.Join(StateNames(), ", "))
		}
		set |= 1 << n
	}
	return set, nil
}

// mask is the set as the kernel is asked for it.
func (s States) mask() uint32 {
	if s == 0 {
		s = allStates
	}
	if s&(1<<SynRecv) != 0 {
		s |= 1 << newSynRecv
	}
	return uint32(s)
}

// Timer is what a socket waits for.
type Timer uint8

// The timers, by the kernel's number (inet_sk_diag_fill); OrphanTimer is this
// package's. The retransmission and the window timer hide keepalive's.
const (
	NoTimer Timer = iota
	RetransmitTimer
	KeepaliveTimer
	TimeWaitTimer
	WindowProbeTimer
	// OrphanTimer ends a connection in FIN-WAIT-2 that no process has open any
	// more. It is keepalive's timer, used for something else
	// (tcp_keepalive_timer).
	OrphanTimer
)

func (t Timer) String() string {
	switch t {
	case NoTimer:
		return ""
	case RetransmitTimer:
		return "retransmit"
	case KeepaliveTimer:
		return "keepalive"
	case TimeWaitTimer:
		return "time-wait"
	case WindowProbeTimer:
		return "zero-window-probe"
	case OrphanTimer:
		return "orphan"
	}
	return fmt.Sprintf("timer %d", uint8(t))
}
