package wire_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"kax/internal/wire"
)

func FuzzDecode(f *testing.F) {
	for _, tt := range decodable {
		f.Add(uint16(tt.link), tt.frame)
		f.Add(uint16(tt.link), tt.frame[:len(tt.frame)-len("hello")-1])
	}
	eth := uint16(wire.Ethernet)
	f.Add(eth, ether(ipv4, inIPv4(tcp, nil, inTCP(syn, unhex("0204 05b4 0402 080a 00000001 00000000 01 030307"), ""))))
	f.Add(eth, ether(ipv4, inIPv4(tcp, nil, inTCP(ack, nil, "x"), put16(2, 0))))
	f.Add(eth, ether(ipv6, inIPv6(tcp, inTCP(ack, nil, "x"), put16(4, 0))))
	f.Add(eth, ether(ipv6, inIPv6(hopByHop, join(unhex("0600c204 00010000"), inTCP(ack, nil, "x")), put16(4, 0))))
	f.Add(eth, ether(ipv4, inIPv4(tcp, nil, inTCP(pshAck, nil, "hello"), put16(6, 0x2000))))
	f.Add(eth, ether(ipv6, inIPv6(fragment, join(fragHeader(tcp, 0, true), inTCP(pshAck, nil, "hello")))))
	f.Add(eth, ether(0x0806, make([]byte, 28)))
	f.Add(uint16(105), make([]byte, 28))

	f.Fuzz(func(t *testing.T, number uint16, frame []byte) {
		link := wire.Link(number)
		before := hello(false)
		got := before
		if err := wire.Decode(link, frame, &got); err != nil {
			if unsupported := errors.Is(err, errors.ErrUnsupported); !known(err) && (!unsupported || link.Known()) {
				t.Errorf("unknown error %v", err)
			}
			if !reflect.DeepEqual(got, before) {
				t.Errorf("error %v, and the segment changed to %+v", err, got)
			}
			return
		}
		sane(t, frame, got)

		// Padding is no data, unless the IP header leaves the length open.
		var padded wire.Segment
		err := wire.Decode(link, append(slices.Clone(frame), 0, 0, 0, 0), &padded)
		if err == nil && len(got.Payload) == got.Len && padded.Len == got.Len+4 {
			return
		}
		if len(got.Payload) < got.Len { // the frame was cut: padding takes the place of data
			padded.Payload = padded.Payload[:len(got.Payload)]
		}
		if err != nil || !reflect.DeepEqual(padded, got) {
			t.Errorf("padded: error %v\ngot  %+v\nwant %+v", err, padded, got)
		}
	})
}

func known(err error) bool {
	for _, k := range []error{wire.ErrNotTCP, wire.ErrShort, wire.ErrBad, wire.ErrFragment} {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}

// sane checks what holds of every segment.
func sane(t *testing.T, frame []byte, got wire.Segment) {
	t.Helper()
	switch {
	case !got.Src.IsValid() || !got.Dst.IsValid() || got.Src.Addr().Is4() != got.Dst.Addr().Is4():
		t.Errorf("addresses %v and %v", got.Src, got.Dst)
	case len(got.Payload) > got.Len || len(got.Payload) > len(frame):
		t.Errorf("%d bytes here, of %d, in a frame of %d", len(got.Payload), got.Len, len(frame))
	case got.Scale < -1 || got.Scale > 14 || got.Scale != -1 && got.Flags&wire.SYN == 0:
		t.Errorf("scale %d with flags %v", got.Scale, got.Flags)
	}
}

func FuzzOptions(f *testing.F) {
	for _, o := range []string{"", "030307", "0204 05b4 0402 080a 00000001 00000000 01 030307", "0303ff", "0800", "01010103", "00030307"} {
		f.Add(unhex(o))
	}
	f.Fuzz(func(t *testing.T, options []byte) {
		var s wire.Segment
		options = options[:min(len(options), 40)]
		if err := wire.Decode(wire.IPv4, inIPv4(tcp, nil, inTCP(syn, options, "hello")), &s); err != nil {
			t.Fatal(err)
		}
		sane(t, []byte("hello"), s)
		// An option that comes before does not hide the scale, nor change it.
		var after wire.Segment
		if len(options) <= 36 {
			if err := wire.Decode(wire.IPv4, inIPv4(tcp, nil, inTCP(syn, join(unhex("02040001"), options), "hello")), &after); err != nil {
				t.Fatal(err)
			}
			if after.Scale != s.Scale {
				t.Errorf("scale %d, and %d after an MSS", s.Scale, after.Scale)
			}
		}
	})
}
