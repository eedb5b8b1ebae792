package sockets

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Status reads TCP_INFO. It never reads SO_ERROR: that would take the error
// away from the socket's owner (socket(7)).
func (b *Borrowed) Status() (Status, error) {
	at := time.Now()
	info, err := unix.GetsockoptTCPInfo(b.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return Status{}, fmt.Errorf("process %d, descriptor %d: TCP_INFO: %w", b.PID, b.Number, err)
	}
	s := Status{State: State(info.State), at: at}
	if s.State == Listen { // the rest means other things there (tcp_get_info)
		return s, nil
	}
	s.ProbesOut = int(info.Probes)
	s.LastSent = time.Duration(info.Last_data_sent) * time.Millisecond
	s.LastReceived = time.Duration(info.Last_data_recv) * time.Millisecond
	s.LastAck = time.Duration(info.Last_ack_recv) * time.Millisecond
	s.Unacked, s.Unsent = int(info.Unacked), int(info.Notsent_bytes)
	s.PeerWindow = int(info.Snd_wnd)
	s.segsIn = info.Segs_in
	s.moved = info.Bytes_received + info.Bytes_acked
	return s, nil
}
