package timeline_test

import (
	"encoding/json"
	"testing"
	"time"

	"kax/httpka"
	"kax/internal/timeline"
	"kax/internal/wire"
	"kax/tcpka"
)

// FuzzTracker makes random segments and messages on a few connections of what
// it is given, six bytes each.
func FuzzTracker(f *testing.F) {
	syn, synAck, ack, data, fin := byte(wire.SYN), byte(wire.SYN|wire.ACK), byte(wire.ACK), byte(wire.ACK|wire.PSH), byte(wire.FIN|wire.ACK)
	f.Add([]byte{})
	f.Add([]byte{0, syn, 0, 0, 0, 1, 1, synAck, 0, 1, 0, 1, 0, ack, 1, 1, 0, 1})
	f.Add([]byte{
		0, syn, 0, 0, 0, 1, 1, synAck, 0, 1, 0, 1, 0, ack, 1, 1, 0, 1,
		0x80, byte(httpka.Request), 0, 0, 0, 1, 0, data, 1, 1, 9, 1, 1, ack, 1, 10, 0, 1,
		0, ack, 9, 1, 0, 100, 1, ack, 1, 10, 0, 1, // a probe and its answer
		0x81, byte(httpka.IdleClose), 0, 0, 0, 1, 1, fin, 1, 10, 0, 1, 0, fin, 10, 2, 0, 1, 1, ack, 2, 11, 0, 1,
		0, syn, 50, 0, 0, 1, // the ports again
	})
	f.Add([]byte{0x80, byte(httpka.Error), 0, 0, 0, 0, 0x40, byte(tcpka.RST), 0, 0, 0, 0, 0x80, byte(httpka.Response), 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld(t, keepalive(time.Second, 2*time.Second))
		for ; len(b) >= 6; b = b[6:] {
			w.pass(time.Duration(b[5]) * 10 * time.Millisecond)
			c := w.talk(40000 + uint16(b[0]>>1&3))
			side := int(b[0] & 1)
			switch {
			case b[0]&0x80 != 0:
				kind := httpka.Kind(b[1]) % (httpka.Closed + 1)
				c.tell(httpka.Event{
					Kind: kind, FromServer: side == fromServer, Reused: b[2]&1 != 0,
					Connection: []string{"", "close", "keep-alive"}[b[2]%3],
				})
			case b[0]&0x40 != 0:
				c.infer(side, tcpka.Kind(b[1])%(tcpka.RST+1))
			default:
				w.packets++
				w.tracker.Packet(w.now, w.packets, &wire.Segment{
					Src: c.addr[side], Dst: c.addr[1-side],
					Seq: uint32(b[2]), Ack: uint32(b[3]), Len: int(b[4] & 15), Window: uint16(b[4] >> 6),
					Flags: wire.Flags(b[1]), Scale: int8(b[4]>>4&3) - 1,
				})
			}
		}
		n := len(b)
		checkSums(t, w, w.finishWith(&n))
		seen := map[int]bool{}
		for _, r := range w.records {
			if _, err := json.Marshal(r); err != nil {
				t.Error(err)
			}
			switch {
			case r.Event != nil:
				seen[r.Event.Conn] = true
			case r.Conn != nil:
				seen[r.Conn.ID] = true
			}
		}
		if len(seen) != len(w.conns()) {
			t.Errorf("events of %d connections, %d records of them", len(seen), len(w.conns()))
		}
	})
}

// What a capture is made of mostly: data, its acknowledgment, a probe, its
// answer.
func BenchmarkPacket(b *testing.B) {
	h := keepalive(time.Second, 0)
	h.Started = epoch
	tr := timeline.NewTracker(h, func(timeline.Record) {})
	w := &world{t: b, tracker: tr, now: epoch}
	c := w.talk(40000).open()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		switch n % 4 {
		case 0:
			c.segment(fromClient, wire.PSH|wire.ACK, c.next[fromClient], 100)
			c.next[fromClient] += 100
		case 2:
			c.probe(fromClient, 0)
		default:
			c.ack(fromServer)
		}
		n++
	}
}
