package timeline_test

import (
	"net/netip"
	"testing"
	"time"

	"kax/internal/timeline"
	"kax/internal/wire"
)

// crowd is the traffic of many connections side by side: requests and responses,
// and probes with their answers between them.
func crowd(conns, rounds int) []wire.Segment {
	type end struct {
		addr netip.AddrPort
		next uint32
	}
	var all []wire.Segment
	segment := func(from, to *end, flags wire.Flags, back uint32, text string) {
		all = append(all, wire.Segment{
			Src: from.addr, Dst: to.addr, Seq: from.next - back, Ack: to.next,
			Flags: flags, Window: 512, Scale: -1, Len: len(text), Payload: []byte(text),
		})
		from.next += uint32(len(text))
	}
	request := "GET /index.html HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n"
	response := "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nkept\n"
	clients, servers := make([]end, conns), make([]end, conns)
	for i := range conns {
		clients[i] = end{netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), uint16(20000+i)), uint32(i) * 1000}
		servers[i] = end{netip.MustParseAddrPort("192.0.2.1:80"), uint32(i) * 5000}
		segment(&clients[i], &servers[i], wire.SYN, 0, "")
		clients[i].next++
		segment(&servers[i], &clients[i], wire.SYN|wire.ACK, 0, "")
		servers[i].next++
		segment(&clients[i], &servers[i], wire.ACK, 0, "")
	}
	for range rounds {
		for i := range conns {
			c, s := &clients[i], &servers[i]
			segment(c, s, wire.PSH|wire.ACK, 0, request)
			segment(s, c, wire.PSH|wire.ACK, 0, response)
			segment(c, s, wire.ACK, 0, "")
			for range 3 {
				segment(c, s, wire.ACK, 1, "")
				segment(s, c, wire.ACK, 0, "")
			}
		}
	}
	return all
}

func BenchmarkObserver(b *testing.B) {
	packets := crowd(1000, 20)
	for _, bb := range []struct {
		name   string
		silent bool
	}{{"events", false}, {"summary", true}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				t := timeline.NewObserver(timeline.Header{Started: epoch}, timeline.Observing{NoEvents: bb.silent}, func(timeline.Record) {})
				at := epoch
				for i := range packets {
					at = at.Add(time.Millisecond)
					t.Packet(at, i+1, &packets[i])
				}
				t.Finish(0, nil)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(packets)), "ns/packet")
		})
	}
}
