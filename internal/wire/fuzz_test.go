package wire_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"kax/internal/wire"
)

func FuzzDecodeEthernet(f *testing.F) {
	for _, tt := range decodable {
		f.Add(tt.frame)
		f.Add(tt.frame[:len(tt.frame)-len("hello")-1])
	}
	f.Add(ether(ipv4, inIPv4(tcp, nil, inTCP(syn, unhex("0204 05b4 0402 080a 00000001 00000000 01 030307"), ""))))
	f.Add(ether(ipv4, inIPv4(tcp, nil, inTCP(ack, nil, "x"), put16(2, 0))))
	f.Add(ether(ipv6, inIPv6(tcp, inTCP(ack, nil, "x"), put16(4, 0))))
	f.Add(ether(0x0806, make([]byte, 28)))

	f.Fuzz(func(t *testing.T, frame []byte) {
		before := hello(false)
		got := before
		if err := wire.DecodeEthernet(frame, &got); err != nil {
			if !errors.Is(err, wire.ErrNotTCP) && !errors.Is(err, wire.ErrShort) && !errors.Is(err, wire.ErrBad) {
				t.Errorf("unknown error %v", err)
			}
			if !reflect.DeepEqual(got, before) {
				t.Errorf("error %v, and the segment changed to %+v", err, got)
			}
			return
		}
		switch {
		case !got.Src.IsValid() || !got.Dst.IsValid() || got.Src.Addr().Is4() != got.Dst.Addr().Is4():
			t.Errorf("addresses %v and %v", got.Src, got.Dst)
		case len(got.Payload) > got.Len || got.Len > 1<<16 && got.Len > len(frame):
			t.Errorf("%d bytes here, of %d, in a frame of %d", len(got.Payload), got.Len, len(frame))
		case got.Scale < -1 || got.Scale > 14 || got.Scale != -1 && got.Flags&wire.SYN == 0:
			t.Errorf("scale %d with flags %v", got.Scale, got.Flags)
		}

		// Padding is no data, unless the IP header leaves the length open.
		var padded wire.Segment
		err := wire.DecodeEthernet(append(slices.Clone(frame), 0, 0, 0, 0), &padded)
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
