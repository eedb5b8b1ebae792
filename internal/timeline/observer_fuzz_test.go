package timeline_test

import (
	"testing"
	"time"

	"kax/internal/timeline"
	"kax/internal/wire"
)

// FuzzObserver makes segments on a few connections of what it is given: seven
// bytes each, and the bytes they carry.
func FuzzObserver(f *testing.F) {
	syn, synAck, ack, data, fin := byte(wire.SYN), byte(wire.SYN|wire.ACK), byte(wire.ACK), byte(wire.ACK|wire.PSH), byte(wire.FIN|wire.ACK)
	segment := func(side, flags, seq, ack, window, pass byte, text string) string {
		return string([]byte{side, flags, seq, ack, window, pass, byte(len(text))}) + text
	}
	opened := segment(0, syn, 0, 0, 1, 1, "") + segment(1, synAck, 0, 1, 1, 1, "") + segment(0, ack, 1, 1, 1, 1, "")
	request, response := "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
	f.Add([]byte(opened + segment(0, data, 1, 1, 1, 1, request) + segment(1, data, 1, 19, 1, 1, response) +
		segment(0, ack, 18, 42, 1, 110, "") + segment(1, ack, 42, 19, 1, 1, "") + segment(1, fin, 42, 19, 1, 200, "")))
	f.Add([]byte(opened + segment(0, data, 10, 1, 1, 1, request[9:]) + segment(0, data, 1, 1, 1, 1, request[:9])))
	f.Add([]byte(segment(2, data, 1, 1, 1, 1, "\x17\x03\x03\x00\x10") + segment(4, data, 1, 1, 1, 1, "SSH-2.0-x\r\n") + segment(6, ack, 9, 9, 1, 1, "") + segment(7, ack, 9, 10, 1, 1, "")))
	f.Add([]byte(opened + segment(0, data, 200, 1, 0, 1, "x") + segment(1, ack, 1, 255, 0, 1, "") + segment(0, syn, 77, 0, 1, 1, request)))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := observed(t, timeline.Observing{MaxConns: 3})
		for len(b) >= 7 {
			head, rest := b[:7], b[7:]
			n := min(int(head[6]), len(rest))
			c, side := w.talk(40000+uint16(head[0]>>1&7)), int(head[0]&1)
			w.pass(time.Duration(head[5]) * 10 * time.Millisecond)
			w.packets++
			w.tracker.Packet(w.now, w.packets, &wire.Segment{
				Src: c.addr[side], Dst: c.addr[1-side], Seq: uint32(head[2]), Ack: uint32(head[3]),
				Flags: wire.Flags(head[1]), Window: uint16(head[4]), Scale: -1,
				Len: n + int(head[4]>>6), Payload: rest[:n],
			})
			b = rest[n:]
		}
		if n := w.tracker.Held(); n > len(b)+1<<16 {
			t.Errorf("%d bytes are held", n)
		}
		checkSums(t, w, w.finish())
		if n := w.tracker.Held(); n != 0 {
			t.Errorf("%d bytes are held in the end", n)
		}
	})
}
