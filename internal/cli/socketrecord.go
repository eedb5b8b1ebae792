package cli

import (
	"net/netip"
	"time"

	"kax/internal/sockets"
	"kax/internal/timeline"
)

// socketRecord is the record of one socket after the other: what a view wants
// to keep it copies.
type socketRecord struct {
	socket    timeline.Socket
	times     timeline.KeepaliveTimes
	sent      timeline.Seconds
	received  timeline.Seconds
	ack       timeline.Seconds
	keepalive bool
	fd        int
}

func (r *socketRecord) fill(s *sockets.Socket) timeline.Record {
	r.socket = timeline.Socket{
		State: s.State.String(), Local: s.Local, Peer: s.Peer, UID: s.UID,
		Timer: s.Timer.String(), Expires: timeline.Seconds(s.Expires), ProbesOut: s.Probes,
		LastSent: ago(&r.sent, s.Sent), LastReceived: ago(&r.received, s.Received), LastAck: ago(&r.ack, s.Ack),
		Unread: string(s.Unread), Orphan: s.Unread == sockets.Ownerless,
	}
	if s.Peer.Port() == 0 {
		r.socket.Peer = netip.AddrPort{} // it has none
	}
	if s.Owner.PID != 0 {
		r.fd = s.Owner.FD
		r.socket.PID, r.socket.Process, r.socket.FD = s.Owner.PID, s.Owner.Process, &r.fd
	}
	for _, o := range s.Also {
		r.socket.Also = append(r.socket.Also, timeline.Owner{PID: o.PID, Process: o.Process, FD: o.FD})
	}
	if on, known := s.Keepalive(); known {
		r.keepalive = on
		r.socket.Keepalive = &r.keepalive
	}
	if s.Read() {
		o := timeline.Options(s.Settings)
		r.times = timeline.KeepaliveTimes{Idle: o.Idle, Interval: o.Interval, Count: o.Count, UserTimeout: o.UserTimeout}
		r.socket.KeepaliveTimes = &r.times
	}
	return timeline.Record{Socket: &r.socket}
}

func ago(p *timeline.Seconds, d time.Duration) *timeline.Seconds {
	if d == sockets.Never {
		return nil
	}
	*p = timeline.Seconds(d)
	return p
}
