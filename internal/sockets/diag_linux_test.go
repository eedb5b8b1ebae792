package sockets

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// diag is a struct inet_diag_msg.
type diag struct {
	family, state, timer, retrans byte
	sport, dport                  uint16
	src, dst                      string
	device, expires, uid, inode   uint32
	cookie                        uint64
}

var established4 = diag{family: unix.AF_INET, state: 1, timer: 2, sport: 40000, dport: 443, src: "127.0.0.1", dst: "192.0.2.7", expires: 12400, uid: 1000, inode: 4711, cookie: 1<<40 | 5}

func (d diag) bytes() []byte {
	b := make([]byte, diagMessageLen)
	ne := binary.NativeEndian
	b[0], b[1], b[2], b[3] = d.family, d.state, d.timer, d.retrans
	binary.BigEndian.PutUint16(b[4:], d.sport)
	binary.BigEndian.PutUint16(b[6:], d.dport)
	copy(b[8:24], netip.MustParseAddr(d.src).AsSlice())
	copy(b[24:40], netip.MustParseAddr(d.dst).AsSlice())
	ne.PutUint32(b[40:], d.device)
	ne.PutUint64(b[44:], d.cookie)
	ne.PutUint32(b[52:], d.expires)
	ne.PutUint32(b[64:], d.uid)
	ne.PutUint32(b[68:], d.inode)
	return b
}

func netlinkMessage(typ, flags uint16, body ...byte) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(body))
	binary.NativeEndian.PutUint32(b, uint32(unix.NLMSG_HDRLEN+len(body)))
	binary.NativeEndian.PutUint16(b[4:], typ)
	binary.NativeEndian.PutUint16(b[6:], flags)
	b = append(b, body...)
	return append(b, make([]byte, -len(b)&3)...)
}

func attribute(typ uint16, body []byte) []byte {
	b := make([]byte, unix.SizeofRtAttr)
	binary.NativeEndian.PutUint16(b, uint16(len(b)+len(body)))
	binary.NativeEndian.PutUint16(b[2:], typ)
	b = append(b, body...)
	return append(b, make([]byte, -len(b)&3)...)
}

func message(d diag, info []byte) []byte {
	body := append(d.bytes(), attribute(8, []byte{0})...) // INET_DIAG_SHUTDOWN
	if info != nil {
		body = append(body, attribute(diagInfo, info)...)
	}
	return netlinkMessage(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_MULTI, body...)
}

// infoOf is a struct tcp_info with times in ms, and segments with data.
func infoOf(sent, received, ack, in, out uint32) []byte {
	b := make([]byte, 280)
	b[3] = 2 // tcpi_probes
	for at, v := range map[int]uint32{44: sent, 52: received, 56: ack, 152: in, 156: out} {
		binary.NativeEndian.PutUint32(b[at:], v)
	}
	return b
}

func errno(e unix.Errno) []byte {
	return binary.NativeEndian.AppendUint32(nil, uint32(-int32(e)))
}

func one(t *testing.T, b []byte) Socket {
	t.Helper()
	var got []Socket
	var s Socket
	if _, err := readDiag(b, &s, func(s *Socket) { got = append(got, *s) }); err != nil || len(got) != 1 {
		t.Fatalf("%d sockets, error %v", len(got), err)
	}
	return got[0]
}

func TestDecode(t *testing.T) {
	s := one(t, message(established4, infoOf(1000, 2000, 3000, 4, 5)))
	if s.State != Established || s.Timer != KeepaliveTimer || s.Local.String() != "127.0.0.1:40000" || s.Peer.String() != "192.0.2.7:443" ||
		s.Expires != 12400*time.Millisecond || s.UID != 1000 || s.inode != 4711 || s.cookie != 1<<40|5 || s.Probes != 2 ||
		s.Sent != time.Second || s.Received != 2*time.Second || s.Ack != 3*time.Second || s.Quiet != time.Second || s.Read() {
		t.Errorf("%+v", s)
	}
	if on, known := s.Keepalive(); !on || !known {
		t.Error("the keepalive timer runs, and keepalive is not known to be on")
	}
}

// What the kernel has nothing to count from is not told.
func TestDecodeTimes(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		state                  byte
		info                   []byte
		sent, rcvd, ack, quiet time.Duration
		probes                 int
	}{
		{"nothing ever sent", 1, infoOf(50, 60, 70, 1, 0), Never, 60 * time.Millisecond, 70 * time.Millisecond, 50 * time.Millisecond, 2},
		{"nothing ever received", 1, infoOf(50, 60, 70, 0, 1), 50 * time.Millisecond, Never, 70 * time.Millisecond, 50 * time.Millisecond, 2},
		{"an old kernel's tcp_info", 1, infoOf(50, 60, 70, 0, 0)[:104], 50 * time.Millisecond, 60 * time.Millisecond, 70 * time.Millisecond, 50 * time.Millisecond, 2},
		{"too short a tcp_info", 1, infoOf(50, 60, 70, 0, 0)[:59], Never, Never, Never, Never, 0},
		{"none", 1, nil, Never, Never, Never, Never, 0},
		{"listen", 10, infoOf(50, 60, 70, 1, 1), Never, Never, Never, Never, 0},
		{"syn-sent", 2, infoOf(50, 60, 70, 1, 1), Never, Never, Never, Never, 0},
	} {
		d := established4
		d.state = tt.state
		s := one(t, message(d, tt.info))
		if s.Sent != tt.sent || s.Received != tt.rcvd || s.Ack != tt.ack || s.Quiet != tt.quiet || s.Probes != tt.probes {
			t.Errorf("%s: %+v", tt.name, s)
		}
	}
}

// idiag_retrans counts retransmissions unless the timer is a probe's.
func TestDecodeTimers(t *testing.T) {
	for _, tt := range []struct {
		timer, state byte
		inode        uint32
		want         Timer
		probes       int
		keepalive    bool
	}{
		{0, 1, 1, NoTimer, 0, false},
		{1, 1, 1, RetransmitTimer, 0, false},
		{2, 1, 1, KeepaliveTimer, 3, true},
		{2, 8, 1, KeepaliveTimer, 3, true},
		{2, 5, 1, KeepaliveTimer, 3, false},
		{2, 5, 0, OrphanTimer, 3, false},
		{3, 6, 0, TimeWaitTimer, 0, false},
		{4, 1, 1, WindowProbeTimer, 3, false},
	} {
		d := established4
		d.timer, d.state, d.inode, d.retrans = tt.timer, tt.state, tt.inode, 3
		s := one(t, message(d, nil))
		on, known := s.Keepalive()
		if s.Timer != tt.want || s.Probes != tt.probes || on != tt.keepalive || known != on {
			t.Errorf("timer %d in state %d: %v, %d probes, keepalive %v, known %v", tt.timer, tt.state, s.Timer, s.Probes, on, known)
		}
	}
}

func TestDecodeIPv6(t *testing.T) {
	d := established4
	d.family, d.src, d.dst = unix.AF_INET6, "2001:db8::1", "::ffff:192.0.2.1"
	if s := one(t, message(d, nil)); s.Local.String() != "[2001:db8::1]:40000" || s.Peer.String() != "192.0.2.1:443" {
		t.Errorf("%v, %v", s.Local, s.Peer)
	}
}

func TestReadDiagEnds(t *testing.T) {
	whole := message(established4, nil)
	for _, tt := range []struct {
		name    string
		b       []byte
		sockets int
		changed bool
		err     error
	}{
		{"done", slices.Concat(whole, netlinkMessage(unix.NLMSG_DONE, 0, 0, 0, 0, 0)), 1, false, errDone},
		{"done with an error", netlinkMessage(unix.NLMSG_DONE, 0, errno(unix.ENOENT)...), 0, false, unix.ENOENT},
		{"error", netlinkMessage(unix.NLMSG_ERROR, 0, errno(unix.EPERM)...), 0, false, unix.EPERM},
		{"acknowledged", netlinkMessage(unix.NLMSG_ERROR, 0, 0, 0, 0, 0), 0, false, errDone},
		{"changed", slices.Concat(netlinkMessage(unix.NLMSG_NOOP, unix.NLM_F_DUMP_INTR), whole), 1, true, nil},
		{"cut in a header", slices.Concat(whole, whole[:7]), 1, false, errCutShort},
		{"cut in a body", whole[:len(whole)-4], 0, false, errCutShort},
		{"a body too short", netlinkMessage(unix.SOCK_DIAG_BY_FAMILY, 0, established4.bytes()[:71]...), 0, false, errCutShort},
		{"an attribute too long", netlinkMessage(unix.SOCK_DIAG_BY_FAMILY, 0, append(established4.bytes(), 9, 0, 8, 0, 0, 0, 0, 0)...), 0, false, errCutShort},
		{"an attribute of no length", netlinkMessage(unix.SOCK_DIAG_BY_FAMILY, 0, append(established4.bytes(), 0, 0, 8, 0)...), 0, false, errCutShort},
		{"an error without a code", netlinkMessage(unix.NLMSG_ERROR, 0), 0, false, errCutShort},
		{"nothing", nil, 0, false, nil},
	} {
		var s Socket
		n := 0
		changed, err := readDiag(tt.b, &s, func(*Socket) { n++ })
		if n != tt.sockets || changed != tt.changed || !errors.Is(err, tt.err) {
			t.Errorf("%s: %d sockets, changed %v, error %v", tt.name, n, changed, err)
		}
	}
}

// FuzzReadDiag has the kernel send anything.
func FuzzReadDiag(f *testing.F) {
	f.Add(datagram(2))
	f.Add(message(established4, infoOf(1, 2, 3, 0, 0)[:60]))
	f.Add(netlinkMessage(unix.NLMSG_ERROR, 0, errno(unix.EPERM)...))
	f.Add(netlinkMessage(unix.NLMSG_DONE, unix.NLM_F_DUMP_INTR, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Socket
		n := 0
		_, _ = readDiag(b, &s, func(s *Socket) {
			n++
			if s.Read() || s.State.String() == "" || s.Owner.PID != 0 {
				t.Errorf("made up: %+v", *s)
			}
			for _, d := range []time.Duration{s.Sent, s.Received, s.Ack, s.Quiet} {
				if d < Never || s.Expires < 0 {
					t.Errorf("a time before now: %+v", *s)
				}
			}
			_, _ = s.Keepalive()
			_, _, _ = s.Timer.String(), s.Local.String(), s.Peer.String()
		})
		if n > len(b)/diagMessageLen {
			t.Errorf("%d sockets in %d bytes", n, len(b))
		}
	})
}
