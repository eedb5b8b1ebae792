package tcpka_test

import (
	"testing"

	"kax/tcpka"
)

// decodeSegments makes segments of fuzz input, 6 bytes each. Numbers are small
// and signed, so that segments meet.
func decodeSegments(b []byte) (from []int, segments []tcpka.Segment) {
	for ; len(b) >= 6; b = b[6:] {
		from = append(from, int(b[0]>>7))
		segments = append(segments, tcpka.Segment{
			Flags: tcpka.Flags(b[0] & 0x1f),
			Seq:   uint32(int8(b[1])), Ack: uint32(int8(b[2])),
			Len:    int(b[3] & 0x0f),
			Window: uint16(b[4]),
			Scale:  int8(b[5]),
		})
	}
	return from, segments
}

// encodeSteps is the way back, for seeds. Numbers that do not fit are cut.
func encodeSteps(steps []step) []byte {
	var b []byte
	for _, st := range steps {
		b = append(b, byte(st.from)<<7|byte(st.flags), byte(st.seq), byte(st.ack), byte(min(st.len, 15)), byte(min(st.win, 255)), 0xff)
	}
	return b
}

func FuzzFlow(f *testing.F) {
	for _, tt := range flows {
		f.Add(uint32(1), uint32(0xfffffff0), encodeSteps(append(handshake[:len(handshake):len(handshake)], tt.steps...)))
		f.Add(uint32(0x7ffffffe), uint32(0), encodeSteps(tt.steps))
	}
	f.Fuzz(func(t *testing.T, isn0, isn1 uint32, input []byte) {
		from, segments := decodeSegments(input)
		isn := [2]uint32{isn0, isn1}
		var plain, moved tcpka.Flow
		var waiting [2]tcpka.Kind // the probe of each side that no answer has met; Ack for none
		for i, seg := range segments {
			side := from[i]
			got := plain.Next(side, seg)
			checkMeaning(t, seg, got)

			switch got.Kind {
			case tcpka.Probe, tcpka.WindowProbe:
				waiting[side] = got.Kind
			case tcpka.ProbeAnswer, tcpka.WindowProbeAnswer:
				want := map[tcpka.Kind]tcpka.Kind{tcpka.ProbeAnswer: tcpka.Probe, tcpka.WindowProbeAnswer: tcpka.WindowProbe}[got.Kind]
				if waiting[1-side] != want {
					t.Errorf("segment %d: %v, and the peer's last probe is %v", i, got.Kind, waiting[1-side])
				}
				waiting[1-side] = tcpka.Ack
			}

			// Neither where counting begins nor which side is which matters.
			seg.Seq += isn[side]
			seg.Ack += isn[1-side]
			if other := moved.Next(1-side, seg); other != got {
				t.Fatalf("segment %d: %+v, and from %#x: %+v", i, got, isn, other)
			}
		}
	})
}

// checkMeaning checks what holds whatever came before.
func checkMeaning(t *testing.T, seg tcpka.Segment, got tcpka.Meaning) {
	t.Helper()
	const syn, fin, rst, ack = tcpka.FlagSYN, tcpka.FlagFIN, tcpka.FlagRST, tcpka.FlagACK
	flags, ok := seg.Flags, false
	switch got.Kind {
	case tcpka.RST:
		ok = flags&rst != 0
	case tcpka.SYN:
		ok = flags&(syn|ack|rst) == syn
	case tcpka.SYNACK:
		ok = flags&(syn|ack|rst) == syn|ack
	case tcpka.FIN:
		ok = flags&(fin|syn|rst) == fin
	case tcpka.Data:
		ok = flags&(fin|syn|rst) == 0 && seg.Len > 0
	case tcpka.Retransmission:
		ok = flags&rst == 0 && (flags&(syn|fin) != 0 || seg.Len > 0)
	case tcpka.Probe, tcpka.WindowProbe:
		ok = flags&(fin|syn|rst) == 0 && seg.Len <= 1
	case tcpka.ProbeAnswer, tcpka.WindowProbeAnswer, tcpka.Established:
		ok = flags&(fin|syn|rst|ack) == ack && seg.Len == 0
	case tcpka.Ack:
		ok = flags&(fin|syn|rst) == 0 && seg.Len == 0
	}
	if !ok {
		t.Errorf("%+v is %v", seg, got.Kind)
	}
	if got.Presumed && got.Kind != tcpka.Ack || got.Late && got.Kind != tcpka.Data && got.Kind != tcpka.FIN {
		t.Errorf("%+v is %+v", seg, got)
	}
	w := int(seg.Window)
	if got.Window < w || got.Window > w<<14 || (got.Window == 0) != (w == 0) {
		t.Errorf("%+v has window %d", seg, got.Window)
	}
}
