package wire_test

import (
	"testing"

	"kax/internal/wire"
)

func TestDecodeAllocatesNothing(t *testing.T) {
	var s wire.Segment
	var d wire.Decoder
	for _, tt := range decodable {
		if n := testing.AllocsPerRun(100, func() { _ = wire.Decode(tt.link, tt.frame, &s) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
		if n := testing.AllocsPerRun(100, func() { _ = d.Decode(tt.link, tt.frame, &s) }); n != 0 {
			t.Errorf("%s: %v allocations by a Decoder", tt.name, n)
		}
	}
	cut := decodable[0].frame[:50]
	if n := testing.AllocsPerRun(100, func() { _ = wire.Decode(wire.Ethernet, cut, &s) }); n != 0 {
		t.Errorf("cut: %v allocations", n)
	}
}

func BenchmarkDecode(b *testing.B) {
	timestamps := unhex("0101 080a 00000001 00000002")
	probe := inIPv4(tcp, nil, inTCP(ack, timestamps, ""))
	for _, bb := range []struct {
		name  string
		link  wire.Link
		frame []byte
	}{
		{"ipv4 probe", wire.Ethernet, ether(ipv4, probe)},
		{"ipv6 probe", wire.Ethernet, ether(ipv6, inIPv6(tcp, inTCP(ack, timestamps, "")))},
		{"vlan ipv4", wire.Ethernet, ether(ipv4, probe, tag(vlanTag))},
		{"syn", wire.Ethernet, ether(ipv4, inIPv4(tcp, nil, inTCP(syn, unhex("0204 05b4 0402 080a 00000001 00000000 01 030307"), "")))},
		{"not tcp", wire.Ethernet, ether(ipv4, inIPv4(udp, nil, make([]byte, 20)))},
		{"null", wire.Null, join(unhex("02000000"), probe)},
		{"sll", wire.SLL, inSLL(ipv4, probe)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			var s wire.Segment
			for b.Loop() {
				_ = wire.Decode(bb.link, bb.frame, &s)
			}
		})
		b.Run(bb.name+" by a Decoder", func(b *testing.B) {
			b.ReportAllocs()
			var s wire.Segment
			var d wire.Decoder
			for b.Loop() {
				_ = d.Decode(bb.link, bb.frame, &s)
			}
		})
	}
}
