package lab

import (
	"encoding/binary"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"kax/internal/capture"
	"kax/internal/timeline"
)

// A packet that another program writes long after it was captured is shown, and
// marked.
func TestPacketTooLate(t *testing.T) {
	client, server := netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("192.0.2.2:80")
	in, out := io.Pipe()
	told := make(chan timeline.Record, 100)
	s, err := openStage(Env{
		Source: timeline.Pipe, Packets: capture.NewReader(in, "a pipe"),
		Emit: func(r timeline.Record) {
			if r.Event != nil {
				r.Event = r.Event.Clone()
			}
			told <- r
		},
	}, 80)
	if err != nil {
		t.Fatal(err)
	}
	s.begin(time.Now(), timeline.Settings{}, nil, func(err error) { t.Error(err) })
	s.own(client, server)
	write := func(b []byte) {
		if _, err := out.Write(b); err != nil {
			t.Error(err)
		}
	}
	// draft-ietf-opsawg-pcap section 4: raw IP.
	write([]byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x65\x00\x00\x00"))
	syn := func(at time.Time, seq byte) []byte {
		p := []byte("E\x00\x00\x28\x00\x00\x00\x00\x40\x06\x00\x00\xc0\x00\x02\x01\xc0\x00\x02\x02" +
			"\x9c\x40\x00\x50\x00\x00\x00" + string(rune(seq)) + "\x00\x00\x00\x00\x50\x02\xff\xff\x00\x00\x00\x00")
		b := binary.LittleEndian.AppendUint32(nil, uint32(at.Unix()))
		b = binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()/1000))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
		return append(binary.LittleEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	write(syn(time.Now(), 1))
	next := func() timeline.Record {
		for r := range told {
			if r.Event != nil {
				return r
			}
		}
		return timeline.Record{}
	}
	if e := next().Event; e.Kind != "syn" || e.Note != "" {
		t.Errorf("in time: %+v", e)
	}
	write(syn(time.Now().Add(-time.Minute), 1))
	if e := next().Event; e.Kind != "retransmission" || !strings.Contains(e.Note, "too late") {
		t.Errorf("too late: %+v", e)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	out.Close()
}
