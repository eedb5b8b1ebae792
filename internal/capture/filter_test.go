package capture

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"

	"kax/internal/wire"
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
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[6:], fragment)
	binary.BigEndian.PutUint16(b[words*4:], src)
	binary.BigEndian.PutUint16(b[words*4+2:], dst)
	b[words*4+12] = 5 << 4
	return b
}

func ipv6(next byte, src, dst uint16) []byte {
	b := make([]byte, 60)
	b[0], b[5], b[6] = 0x60, 20, next
	binary.BigEndian.PutUint16(b[40:], src)
	binary.BigEndian.PutUint16(b[42:], dst)
	b[52] = 5 << 4
	return b
}

// between gives a packet addresses.
func between(packet []byte, src, dst string) []byte {
	a, b := netip.MustParseAddr(src).AsSlice(), netip.MustParseAddr(dst).AsSlice()
	at := 12
	if len(a) == 16 {
		at = 8
	}
	copy(packet[at:], a)
	copy(packet[at+len(a):], b)
	return packet
}

const (
	tcp, udp     = 6, 17
	dontFragment = 0x4000
	port         = 0x1234
)

// machine runs the part of a filter that is about frames, or about bare packets.
// What only the kernel knows of them is in the tests of Live.
func machine(t *testing.T, f Filter, bare bool) func([]byte) bool {
	t.Helper()
	p := newAssembly(f)
	if bare {
		p.bare()
	} else {
		p.frames()
	}
	vm, err := bpf.NewVM(p.finish())
	if err != nil {
		t.Fatal(err)
	}
	return func(frame []byte) bool {
		n, err := vm.Run(frame)
		if err != nil {
			t.Fatal(err)
		}
		if n != 0 && n != SnapWhole {
			t.Errorf("takes %d bytes", n)
		}
		return n > 0
	}
}

func TestFilter(t *testing.T) {
	for _, tt := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"to the port", ethernet(0x0800, ipv4(5, tcp, dontFragment, 40000, port)), true},
		{"from the port", ethernet(0x0800, ipv4(5, tcp, dontFragment, port, 40000)), true},
		{"both ends", ethernet(0x0800, ipv4(5, tcp, 0, port, port)), true},
		{"another of the ports", ethernet(0x0800, ipv4(5, tcp, 0, 40000, 80)), true},
		{"options", ethernet(0x0800, ipv4(15, tcp, 0, 40000, port)), true},
		{"first fragment", ethernet(0x0800, ipv4(5, tcp, 0x2000, 40000, port)), true},
		{"later fragment, whatever it holds", ethernet(0x0800, ipv4(5, tcp, 0x2001, 40000, 1)), true},
		{"later fragment of udp", ethernet(0x0800, ipv4(5, udp, 0x2001, 40000, port)), false},
		{"other port", ethernet(0x0800, ipv4(5, tcp, 0, 40000, port+1)), false},
		{"half the port", ethernet(0x0800, ipv4(5, tcp, 0, port>>8, port&0xff)), false},
		{"the port where options are", ethernet(0x0800, append(ipv4(6, tcp, 0, port, port)[:24], 0, 1, 0, 1)), false},
		{"udp", ethernet(0x0800, ipv4(5, udp, 0, 40000, port)), false},
		{"ipv6 to the port", ethernet(0x86dd, ipv6(tcp, 40000, port)), true},
		{"ipv6 from the port", ethernet(0x86dd, ipv6(tcp, port, 40000)), true},
		{"ipv6 other port", ethernet(0x86dd, ipv6(tcp, 40000, port-1)), false},
		{"ipv6 extension headers, whatever follows", ethernet(0x86dd, ipv6(60, 1, 1)), true},
		{"ipv6 udp", ethernet(0x86dd, ipv6(udp, 40000, port)), false},
		{"a second tag", ethernet(0x8100, nil), true},
		{"arp", ethernet(0x0806, ipv4(5, tcp, 0, 40000, port)), false},
		{"cut before the ports", ethernet(0x0800, ipv4(5, tcp, 0, 40000, port)[:21]), false},
		{"cut before the address", ethernet(0x0800, nil), false},
		{"empty", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := machine(t, Filter{Ports: []uint16{80, port}}, false)(tt.frame); got != tt.want {
				t.Errorf("taken: %v", got)
			}
			if len(tt.frame) > 14 && (tt.frame[12] == 0x08 && tt.frame[13] == 0 || tt.frame[12] == 0x86) {
				if got := machine(t, Filter{Ports: []uint16{80, port}}, true)(tt.frame[14:]); got != tt.want {
					t.Errorf("taken without an Ethernet header: %v", got)
				}
			}
		})
	}
}

// The kernel takes what Match takes, for any mixture of hosts, ports and a
// connection to leave out, and any number of them.
func TestFilterAgreesWithMatch(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	hosts := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2", "2001:db8:0:0:1::1"}
	host := func() string { return hosts[random.IntN(len(hosts))] }
	family := func(a string) bool { return netip.MustParseAddr(a).Is4() }
	taken := 0
	for range 3000 {
		var f Filter
		for range random.IntN(4) {
			f.Hosts = append(f.Hosts, netip.MustParseAddr(host()))
		}
		for range random.IntN(3) * random.IntN(200) {
			f.Ports = append(f.Ports, uint16(random.IntN(1000)))
		}
		src, dst := host(), host()
		for family(src) != family(dst) {
			dst = host()
		}
		a, b := uint16(random.IntN(1000)), uint16(random.IntN(1000))
		if random.IntN(3) == 0 {
			f.Exclude = []netip.AddrPort{
				netip.AddrPortFrom(netip.MustParseAddr(src), b), netip.AddrPortFrom(netip.MustParseAddr(dst), a),
			}
			if random.IntN(2) == 0 {
				a, b = b, a
			}
		}
		packet := ipv6(tcp, a, b)
		if family(src) {
			packet = ipv4(5+random.IntN(3), tcp, 0, a, b)
		}
		between(packet, src, dst)
		var s wire.Segment
		if err := wire.Decode(wire.Raw, packet, &s); err != nil && !errors.Is(err, wire.ErrShort) {
			t.Fatal(err)
		}
		want := f.Match(s.Src, s.Dst)
		if got := machine(t, f, true)(packet); got != want {
			t.Fatalf("%+v: from %v to %v: taken: %v, Match: %v", f, s.Src, s.Dst, got, want)
		}
		if want {
			taken++
		}
	}
	if taken < 300 || taken > 2700 {
		t.Errorf("%d of 3000 were taken", taken)
	}
}
