package capture

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
)

// ethernet is a frame of the given EtherType; the numbers of its packet are
// filled in by the callers.
func ethernet(kind uint16, packet []byte) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, 12), kind), packet...)
}

// ipv4 is a packet with words × 4 bytes of header before the ports.
func ipv4(words int, proto byte, fragment, src, dst uint16) []byte {
	b := make([]byte, words*4+20)
	b[0], b[9] = 0x40|byte(words), proto
	binary.BigEndian.PutUint16(b[6:], fragment)
	binary.BigEndian.PutUint16(b[words*4:], src)
	binary.BigEndian.PutUint16(b[words*4+2:], dst)
	return b
}

func ipv6(next byte, src, dst uint16) []byte {
	b := make([]byte, 60)
	b[0], b[6] = 0x60, next
	binary.BigEndian.PutUint16(b[40:], src)
	binary.BigEndian.PutUint16(b[42:], dst)
	return b
}

const (
	tcp, udp     = 6, 17
	dontFragment = 0x4000
	port         = 0x1234
)

// The kernel runs the same instructions; what only the kernel knows of a frame
// (once) is in the tests of Live.
func TestFilter(t *testing.T) {
	vm, err := bpf.NewVM(Filter{Port: port}.program())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"to the port", ethernet(0x0800, ipv4(5, tcp, dontFragment, 40000, port)), true},
		{"from the port", ethernet(0x0800, ipv4(5, tcp, dontFragment, port, 40000)), true},
		{"both ends", ethernet(0x0800, ipv4(5, tcp, 0, port, port)), true},
		{"options", ethernet(0x0800, ipv4(15, tcp, 0, 40000, port)), true},
		{"first fragment", ethernet(0x0800, ipv4(5, tcp, 0x2000, 40000, port)), true},
		{"later fragment", ethernet(0x0800, ipv4(5, tcp, 0x2001, 40000, port)), false},
		{"last fragment", ethernet(0x0800, ipv4(5, tcp, 0x1000, 40000, port)), false},
		{"other port", ethernet(0x0800, ipv4(5, tcp, 0, 40000, port+1)), false},
		{"half the port", ethernet(0x0800, ipv4(5, tcp, 0, port>>8, port&0xff)), false},
		{"the port where options are", ethernet(0x0800, append(ipv4(6, tcp, 0, port, port)[:24], 0, 1, 0, 1)), false},
		{"udp", ethernet(0x0800, ipv4(5, udp, 0, 40000, port)), false},
		{"ipv6 to the port", ethernet(0x86dd, ipv6(tcp, 40000, port)), true},
		{"ipv6 from the port", ethernet(0x86dd, ipv6(tcp, port, 40000)), true},
		{"ipv6 other port", ethernet(0x86dd, ipv6(tcp, 40000, port-1)), false},
		{"ipv6 udp", ethernet(0x86dd, ipv6(udp, 40000, port)), false},
		{"arp", ethernet(0x0806, ipv4(5, tcp, 0, 40000, port)), false},
		{"cut before the ports", ethernet(0x0800, ipv4(5, tcp, 0, 40000, port)[:21]), false},
		{"cut before the address", ethernet(0x0800, nil), false},
		{"empty", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := vm.Run(tt.frame)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]int{true: snapLen}[tt.want]; n != want {
				t.Errorf("takes %d bytes, want %d", n, want)
			}
		})
	}
}
