package wire_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kax/internal/wire"
)

const (
	vlanTag = 0x8100
	qinqTag = 0x88a8
	ack     = 0x010
	pshAck  = 0x018
	syn     = 0x002
)

// decodable are frames of one segment each: 5 bytes of data under every kind of
// header that Decode knows.
var decodable = []struct {
	name  string
	link  wire.Link
	v6    bool
	frame []byte
}{
	{"ipv4", wire.Ethernet, false, ether(ipv4, inIPv4(tcp, nil, inTCP(pshAck, nil, "hello")))},
	{"ipv4 with options", wire.Ethernet, false, ether(ipv4, inIPv4(tcp, unhex("94040000 01010101"), inTCP(pshAck, nil, "hello")))},
	{"tcp options", wire.Ethernet, false, ether(ipv4, inIPv4(tcp, nil, inTCP(pshAck, unhex("0101 080a 00000001 00000002"), "hello")))},
	{"vlan", wire.Ethernet, false, ether(ipv4, inIPv4(tcp, nil, inTCP(pshAck, nil, "hello")), tag(vlanTag))},
	{"qinq", wire.Ethernet, false, ether(ipv4, inIPv4(tcp, nil, inTCP(pshAck, nil, "hello")), tag(qinqTag), tag(vlanTag))},
	{"old qinq", wire.Ethernet, false, ether(ipv4, inIPv4(tcp, nil, inTCP(pshAck, nil, "hello")), tag(0x9100), tag(vlanTag))},
	{"ipv6", wire.Ethernet, true, ether(ipv6, inIPv6(tcp, inTCP(pshAck, nil, "hello")))},
	{"vlan ipv6", wire.Ethernet, true, ether(ipv6, inIPv6(tcp, inTCP(pshAck, nil, "hello")), tag(vlanTag))},
	{"hop-by-hop", wire.Ethernet, true, ether(ipv6, inIPv6(hopByHop, join(ext(tcp, 0), inTCP(pshAck, nil, "hello"))))},
	{"long destination options", wire.Ethernet, true, ether(ipv6, inIPv6(destOpts, join(ext(tcp, 2), inTCP(pshAck, nil, "hello"))))},
	{"routing", wire.Ethernet, true, ether(ipv6, inIPv6(routing, join(ext(tcp, 1), inTCP(pshAck, nil, "hello"))))},
	{"every extension", wire.Ethernet, true, ether(ipv6, inIPv6(hopByHop, join(ext(destOpts, 0), ext(routing, 1),
		fragHeader(tcp, 0, false), inTCP(pshAck, nil, "hello"))))},
	{"null", wire.Null, false, join(unhex("02000000"), inIPv4(tcp, nil, inTCP(pshAck, nil, "hello")))},
	{"null of a big-endian machine", wire.Null, false, join(unhex("00000002"), inIPv4(tcp, nil, inTCP(pshAck, nil, "hello")))},
	{"null ipv6 of linux", wire.Null, true, join(unhex("0a000000"), inIPv6(tcp, inTCP(pshAck, nil, "hello")))},
	{"null ipv6 of openbsd", wire.Null, true, join(unhex("18000000"), inIPv6(tcp, inTCP(pshAck, nil, "hello")))},
	{"null ipv6 of freebsd", wire.Null, true, join(unhex("1c000000"), inIPv6(tcp, inTCP(pshAck, nil, "hello")))},
	{"null ipv6 of macos", wire.Null, true, join(unhex("1e000000"), inIPv6(tcp, inTCP(pshAck, nil, "hello")))},
	{"null ipv6 of a big-endian machine", wire.Null, true, join(unhex("0000001e"), inIPv6(tcp, inTCP(pshAck, nil, "hello")))},
	{"loop", wire.Loop, false, join(unhex("00000002"), inIPv4(tcp, nil, inTCP(pshAck, nil, "hello")))},
	{"loop ipv6", wire.Loop, true, join(unhex("00000018"), inIPv6(tcp, inTCP(pshAck, nil, "hello")))},
	{"raw", wire.Raw, false, inIPv4(tcp, nil, inTCP(pshAck, nil, "hello"))},
	{"raw of ipv6", wire.Raw, true, inIPv6(tcp, inTCP(pshAck, nil, "hello"))},
	{"raw by another number", wire.RawDLT, true, inIPv6(tcp, inTCP(pshAck, nil, "hello"))},
	{"raw ipv4", wire.IPv4, false, inIPv4(tcp, nil, inTCP(pshAck, nil, "hello"))},
	{"raw ipv6", wire.IPv6, true, inIPv6(tcp, inTCP(pshAck, nil, "hello"))},
	{"sll", wire.SLL, false, inSLL(ipv4, inIPv4(tcp, nil, inTCP(pshAck, nil, "hello")))},
	{"sll ipv6", wire.SLL, true, inSLL(ipv6, inIPv6(tcp, inTCP(pshAck, nil, "hello")))},
	{"sll vlan", wire.SLL, false, inSLL(vlanTag, join(unhex("602a 0800"), inIPv4(tcp, nil, inTCP(pshAck, nil, "hello"))))},
	{"sll2", wire.SLL2, false, inSLL2(ipv4, inIPv4(tcp, nil, inTCP(pshAck, nil, "hello")))},
	{"sll2 ipv6", wire.SLL2, true, inSLL2(ipv6, inIPv6(tcp, inTCP(pshAck, nil, "hello")))},
}

func hello(v6 bool) wire.Segment {
	s := wire.Segment{
		Src: netip.MustParseAddrPort("192.0.2.1:40000"), Dst: netip.MustParseAddrPort("192.0.2.2:80"),
		Seq: 0x01020304, Ack: 0xa1a2a3a4, Flags: wire.PSH | wire.ACK, Window: 0x1357, Scale: -1,
		Len: 5, Payload: []byte("hello"),
	}
	if v6 {
		s.Src, s.Dst = netip.MustParseAddrPort("[2001:db8::1]:40000"), netip.MustParseAddrPort("[2001:db8::2]:80")
	}
	return s
}

// The builder's own mistakes would cancel out: one frame is spelled in full.
func TestDecodeLiteralFrame(t *testing.T) {
	frame := unhex(`
		00005e005302 00005e005301 0800
		45 00 003c 1c46 4000 40 06 0000 7f000001 7f000002
		c350 1f90 fffffffe 00000000 a0 02 ffd7 0000 0000
		0204 ffd7  0402  080a 00000001 00000000  01  0303 07`)
	want := wire.Segment{
		Src: netip.MustParseAddrPort("127.0.0.1:50000"), Dst: netip.MustParseAddrPort("127.0.0.2:8080"),
		Seq: 0xfffffffe, Flags: wire.SYN, Window: 0xffd7, Scale: 7, Payload: []byte{},
	}
	var got wire.Segment
	if err := wire.Decode(wire.Ethernet, frame, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDecodeHeaders(t *testing.T) {
	for _, tt := range decodable {
		t.Run(tt.name, func(t *testing.T) {
			// What was there before must not shine through.
			got := wire.Segment{Scale: 9, Len: 99, Payload: []byte("before"), Flags: wire.SYN}
			if err := wire.Decode(tt.link, tt.frame, &got); err != nil {
				t.Fatal(err)
			}
			if want := hello(tt.v6); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// A frame cut inside a header is short; one cut inside its data still has the
// length that the IP header says.
func TestDecodeCutAtEachLength(t *testing.T) {
	for _, tt := range decodable {
		t.Run(tt.name, func(t *testing.T) {
			headers := len(tt.frame) - len("hello")
			for n := range len(tt.frame) {
				want, wantErr := hello(tt.v6), error(nil)
				if n < headers {
					want, wantErr = wire.Segment{}, wire.ErrShort
				} else {
					want.Payload = want.Payload[:n-headers]
				}
				var got wire.Segment
				// Clipped: reading past the end must not find the rest.
				err := wire.Decode(tt.link, slices.Clone(tt.frame[:n]), &got)
				if !errors.Is(err, wantErr) || err != nil && wantErr == nil {
					t.Fatalf("%d of %d bytes: error %v, want %v", n, len(tt.frame), err, wantErr)
				}
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("%d of %d bytes:\ngot  %+v\nwant %+v", n, len(tt.frame), got, want)
				}
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	segment := inTCP(pshAck, nil, "hello")
	for _, tt := range []struct {
		name  string
		frame []byte
		want  error
	}{
		{"empty", nil, wire.ErrShort},
		{"arp", ether(0x0806, make([]byte, 28)), wire.ErrNotTCP},
		{"a length and no type", ether(46, make([]byte, 46)), wire.ErrNotTCP},
		{"udp", ether(ipv4, inIPv4(udp, nil, segment)), wire.ErrNotTCP},
		{"udp in ipv6", ether(ipv6, inIPv6(udp, segment)), wire.ErrNotTCP},
		{"short udp in ipv6", ether(ipv6, inIPv6(udp, make([]byte, 4))), wire.ErrNotTCP},
		{"nothing in ipv6", ether(ipv6, inIPv6(noNext, nil)), wire.ErrNotTCP},
		{"encrypted ipv6", ether(ipv6, inIPv6(esp, segment)), wire.ErrNotTCP},
		{"later fragment", ether(ipv4, inIPv4(tcp, nil, segment, put16(6, 1))), wire.ErrFragment},
		{"later fragment with more", ether(ipv4, inIPv4(tcp, nil, segment, put16(6, 0x2001))), wire.ErrFragment},
		{"later fragment of ipv6", ether(ipv6, inIPv6(fragment, join(fragHeader(tcp, 1, false), segment))), wire.ErrFragment},
		{"first fragment", ether(ipv4, inIPv4(tcp, nil, segment, put16(6, 0x2000))), wire.ErrFragment},
		{"first fragment of ipv6", ether(ipv6, inIPv6(fragment, join(fragHeader(tcp, 0, true), segment))), wire.ErrFragment},
		{"fragment of udp", ether(ipv4, inIPv4(udp, nil, segment, put16(6, 0x2000))), wire.ErrNotTCP},
		{"fragment of udp in ipv6", ether(ipv6, inIPv6(fragment, join(fragHeader(udp, 0, true), segment))), wire.ErrNotTCP},
		{"ipv6 in an ipv4 frame", ether(ipv4, inIPv6(tcp, segment)), wire.ErrBad},
		{"ipv4 in an ipv6 frame", ether(ipv6, inIPv4(tcp, make([]byte, 40), segment)), wire.ErrBad},
		{"ipv4 header of 16 bytes", ether(ipv4, inIPv4(tcp, nil, segment, put8(0, 0x44))), wire.ErrBad},
		{"ipv4 packet ends in its header", ether(ipv4, inIPv4(tcp, nil, segment, put16(2, 19))), wire.ErrBad},
		{"ipv4 packet ends in the tcp header", ether(ipv4, inIPv4(tcp, nil, segment, put16(2, 39))), wire.ErrShort},
		{"ipv4 packet ends in the tcp options", ether(ipv4, inIPv4(tcp, nil, inTCP(ack, make([]byte, 12), ""), put16(2, 51))), wire.ErrBad},
		{"ipv6 packet ends in the tcp header", ether(ipv6, inIPv6(tcp, segment, put16(4, 19))), wire.ErrShort},
		{"ipv6 packet ends in an extension", ether(ipv6, inIPv6(destOpts, join(ext(tcp, 9), segment), put16(4, 79))), wire.ErrShort},
		{"tcp header of 16 bytes", ether(ipv4, inIPv4(tcp, nil, inTCP(ack, nil, "hello", put8(12, 0x40)))), wire.ErrBad},
		{"tcp header longer than the packet", ether(ipv4, inIPv4(tcp, nil, inTCP(ack, nil, "hello", put8(12, 0x70)))), wire.ErrBad},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := hello(false)
			got := before
			if err := wire.Decode(wire.Ethernet, tt.frame, &got); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if !reflect.DeepEqual(got, before) {
				t.Errorf("a refused frame changed the segment to %+v", got)
			}
		})
	}
}

func TestDecodeLinkRefuses(t *testing.T) {
	packet := inIPv4(tcp, nil, inTCP(ack, nil, ""))
	packet6 := inIPv6(tcp, inTCP(ack, nil, ""))
	for _, tt := range []struct {
		name  string
		link  wire.Link
		frame []byte
		want  error
	}{
		{"null of AppleTalk", wire.Null, join(unhex("10000000"), packet), wire.ErrNotTCP},
		{"loop in the machine's order", wire.Loop, join(unhex("02000000"), packet), wire.ErrNotTCP},
		{"raw of version 5", wire.Raw, join([]byte{0x55}, packet[1:]), wire.ErrBad},
		{"raw of nothing", wire.Raw, nil, wire.ErrShort},
		{"ipv6 as raw ipv4", wire.IPv4, packet6, wire.ErrBad},
		{"ipv4 as raw ipv6", wire.IPv6, packet, wire.ErrBad},
		{"arp in sll", wire.SLL, inSLL(0x0806, packet), wire.ErrNotTCP},
		{"arp in sll2", wire.SLL2, inSLL2(0x0806, packet), wire.ErrNotTCP},
		{"ieee802.11", 105, packet, errors.ErrUnsupported},
	} {
		var got wire.Segment
		if err := wire.Decode(tt.link, tt.frame, &got); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
	}
	if err := wire.Decode(105, packet, nil); err == nil || !strings.Contains(err.Error(), "link type 105") {
		t.Errorf("%v: does not name the link type", err)
	}
}

// Lengths come from the IP header, unless offload made the packet longer than
// that can say.
func TestDecodeLength(t *testing.T) {
	big := strings.Repeat("x", 66000)
	// As Linux sends them with a gso_max_size above 64 KiB.
	jumbogram := inIPv6(hopByHop, join(unhex("06 00 c2 04"), binary.BigEndian.AppendUint32(nil, 8+20+66000), inTCP(ack, nil, big)), put16(4, 0))
	for _, tt := range []struct {
		name         string
		frame        []byte
		len, payload int
	}{
		{"padded to 60 bytes", join(ether(ipv4, inIPv4(tcp, nil, inTCP(ack, nil, ""))), make([]byte, 6)), 0, 0},
		{"padded ipv6", join(ether(ipv6, inIPv6(tcp, inTCP(ack, nil, "x"))), make([]byte, 6)), 1, 1},
		{"snapped", ether(ipv4, inIPv4(tcp, nil, inTCP(ack, nil, big[:65000])))[:100], 65000, 46},
		{"snapped ipv6", ether(ipv6, inIPv6(tcp, inTCP(ack, nil, big[:65000])))[:100], 65000, 26},
		{"too long for ipv4", ether(ipv4, inIPv4(tcp, nil, inTCP(ack, nil, big), put16(2, 0))), 66000, 66000},
		{"jumbogram", ether(ipv6, jumbogram), 66000, 66000},
		{"snapped jumbogram", ether(ipv6, jumbogram)[:100], 66000, 18},
		{"too long for ipv6", ether(ipv6, inIPv6(tcp, inTCP(ack, nil, big), put16(4, 0))), 66000, 66000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got wire.Segment
			if err := wire.Decode(wire.Ethernet, tt.frame, &got); err != nil {
				t.Fatal(err)
			}
			if got.Len != tt.len || len(got.Payload) != tt.payload {
				t.Errorf("length %d, of which %d here; want %d and %d", got.Len, len(got.Payload), tt.len, tt.payload)
			}
		})
	}
}

func TestDecodeWindowScale(t *testing.T) {
	for _, tt := range []struct {
		name    string
		flags   uint16
		options string
		want    int8
	}{
		{"none", syn, "", -1},
		{"alone", syn, "030307", 7},
		{"zero", syn, "030300", 0},
		{"as linux sends it", syn, "0204 05b4 0402 080a 00000001 00000000 01 030307", 7},
		{"in a syn-ack", syn | ack, "0204 05b4 01 030309", 9},
		{"above 14 counts as 14", syn, "0303ff", 14},
		{"of the wrong length", syn, "030400 00", -1},
		{"after the end of the list", syn, "00 030307", -1},
		{"after an unknown option", syn, "fd04 beef 030305", 5},
		{"after an option of length 0", syn, "0800 030307", -1},
		{"after an option of length 1", syn, "0801 030307", -1},
		{"an option past the end", syn, "01 01 01 01 01 01 08 0a", -1},
		{"cut by the end", syn, "01 01 03 03", -1},
		{"a kind without a length", syn, "01 01 01 03", -1},
		{"not in a syn", ack, "030307 00", -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got wire.Segment
			if err := wire.Decode(wire.Ethernet, ether(ipv4, inIPv4(tcp, nil, inTCP(tt.flags, unhex(tt.options), ""))), &got); err != nil {
				t.Fatal(err)
			}
			if got.Scale != tt.want {
				t.Errorf("scale %d, want %d", got.Scale, tt.want)
			}
		})
	}
}

func TestFlagsString(t *testing.T) {
	for flags, want := range map[wire.Flags]string{
		0: "", wire.FIN: "F", wire.SYN: "S", wire.RST: "R", wire.PSH: "P", wire.ACK: "A",
		wire.URG: "U", wire.ECE: "E", wire.CWR: "W", wire.AE: "e",
		wire.SYN | wire.ACK: "SA", wire.FIN | wire.PSH | wire.ACK: "FPA", wire.RST | wire.ACK: "RA",
		wire.SYN | wire.ECE | wire.CWR | wire.AE: "SEWe", 0x1ff: "FSRPAUEWe", 0xfe00: "",
	} {
		if got := flags.String(); got != want {
			t.Errorf("flags %#03x: %q, want %q", uint16(flags), got, want)
		}
	}
}

func TestDecodeFlags(t *testing.T) {
	for bit := range 16 {
		var got wire.Segment
		// Above the flags stand three reserved bits and the header's length.
		frame := ether(ipv4, inIPv4(tcp, nil, inTCP(1<<bit&0x0fff, nil, "")))
		if err := wire.Decode(wire.Ethernet, frame, &got); err != nil {
			t.Fatal(err)
		}
		if want := wire.Flags(1<<bit) & 0x1ff; got.Flags != want {
			t.Errorf("bit %d: flags %#x, want %#x", bit, uint16(got.Flags), uint16(want))
		}
	}
}
