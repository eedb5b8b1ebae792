package lab

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"kax/internal/capture"
	"kax/internal/timeline"
)

// piped is a stage whose packets come from a pipe.
type piped struct {
	*stage
	t    *testing.T
	in   *io.PipeWriter
	told chan timeline.Record
}

var client, server = netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("192.0.2.2:80")

func openPiped(t *testing.T, source timeline.Source) piped {
	t.Helper()
	out, in := io.Pipe()
	p := piped{t: t, in: in, told: make(chan timeline.Record, 100)}
	var err error
	p.stage, err = openStage(Env{
		Source: source, Packets: capture.NewReader(out, "a pipe"),
		Emit: func(r timeline.Record) {
			if r.Event != nil {
				r.Event = r.Event.Clone()
			}
			p.told <- r
		},
	}, server.Port())
	if err != nil {
		t.Fatal(err)
	}
	p.begin(time.Now(), timeline.Settings{}, nil, func(err error) { t.Error(err) })
	// draft-ietf-opsawg-pcap section 4: raw IP.
	p.write([]byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00\x65\x00\x00\x00"))
	return p
}

func (p piped) write(b []byte) {
	if _, err := p.in.Write(b); err != nil {
		p.t.Error(err)
	}
}

// syn writes one from the client to the server.
func (p piped) syn(at time.Time) {
	packet := []byte("E\x00\x00\x28\x00\x00\x00\x00\x40\x06\x00\x00\xc0\x00\x02\x01\xc0\x00\x02\x02" +
		"\x9c\x40\x00\x50\x00\x00\x00\x01\x00\x00\x00\x00\x50\x02\xff\xff\x00\x00\x00\x00")
	b := binary.LittleEndian.AppendUint32(nil, uint32(at.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()/1000))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(packet)))
	p.write(append(binary.LittleEndian.AppendUint32(b, uint32(len(packet))), packet...))
}

func (p piped) end() {
	if err := p.close(); err != nil {
		p.t.Error(err)
	}
	p.in.Close()
}

// A packet that another program writes long after it was captured is shown, and
// marked.
func TestPacketTooLate(t *testing.T) {
	p := openPiped(t, timeline.Pipe)
	defer p.end()
	p.own(client, server)
	next := func() timeline.Record {
		for r := range p.told {
			if r.Event != nil {
				return r
			}
		}
		return timeline.Record{}
	}
	p.syn(time.Now())
	if e := next().Event; e.Kind != "syn" || e.Note != "" {
		t.Errorf("in time: %+v", e)
	}
	p.syn(time.Now().Add(-time.Minute))
	if e := next().Event; e.Kind != "retransmission" || !strings.Contains(e.Note, "too late") {
		t.Errorf("too late: %+v", e)
	}
}

// A dial that returns late, as on a busy machine, loses none of its packets; one
// that fails has none.
func TestDialReturnsLate(t *testing.T) {
	p := openPiped(t, timeline.AFPacket)
	dial := func(err error) {
		_, _ = p.dial(func() (net.Conn, error) {
			p.syn(time.Now())
			time.Sleep(2 * settle) // as long as this, it has no packets
			return dialed{}, err
		})
	}
	dial(errors.New("no route"))
	time.Sleep(2 * settle) // what it left is thrown away
	dial(nil)
	p.end()
	close(p.told)
	var syns []string
	for r := range p.told {
		if r.Event != nil {
			syns = append(syns, r.Event.Kind)
		}
	}
	if len(syns) != 1 || syns[0] != "syn" {
		t.Errorf("%q, want the SYN of the dial that has returned", syns)
	}
}

// dialed has no more than its addresses.
type dialed struct{ net.Conn }

func (dialed) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(client) }
func (dialed) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(server) }
