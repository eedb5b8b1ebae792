package sockets

import "fmt"

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
