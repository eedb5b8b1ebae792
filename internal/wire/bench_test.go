package wire_test

import (
	"testing"

	"kax/internal/wire"
)

func TestDecodeAllocatesNothing(t *testing.T) {
	var s wire.Segment
	for _, tt := range decodable {
		if n := testing.AllocsPerRun(100, func() { _ = wire.DecodeEthernet(tt.frame, &s) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
	cut := decodable[0].frame[:50]
	if n := testing.AllocsPerRun(100, func() { _ = wire.DecodeEthernet(cut, &s) }); n != 0 {
		t.Errorf("cut: %v allocations", n)
	}
}

func BenchmarkDecodeEthernet(b *testing.B) {
	timestamps := unhex("0101 080a 00000001 00000002")
	for _, bb := range []struct {
		name  string
		frame []byte
	}{
		{"ipv4 probe", ether(ipv4, inIPv4(tcp, nil, inTCP(ack, timestamps, "")))},
		{"ipv6 probe", ether(ipv6, inIPv6(tcp, inTCP(ack, timestamps, "")))},
		{"vlan ipv4", ether(ipv4, inIPv4(tcp, nil, inTCP(ack, timestamps, "")), tag(vlanTag))},
		{"syn", ether(ipv4, inIPv4(tcp, nil, inTCP(syn, unhex("0204 05b4 0402 080a 00000001 00000000 01 030307"), "")))},
		{"not tcp", ether(ipv4, inIPv4(udp, nil, make([]byte, 20)))},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			var s wire.Segment
			for b.Loop() {
				_ = wire.DecodeEthernet(bb.frame, &s)
			}
		})
	}
}
