package tcpka_test

import (
	"fmt"
	"testing"
	"time"

	"kax/tcpka"
)

// The two sides, the flags by their letters, and windows.
const (
	c, s = 0, 1

	S  = tcpka.FlagSYN
	SA = tcpka.FlagSYN | tcpka.FlagACK
	A  = tcpka.FlagACK
	PA = tcpka.FlagPSH | tcpka.FlagACK
	FA = tcpka.FlagFIN | tcpka.FlagACK
	R  = tcpka.FlagRST
	RA = tcpka.FlagRST | tcpka.FlagACK

	open, shut = 1000, 0
)

// A step is a segment and what it means. seq and ack count from the sender's
// and the receiver's SYN.
type step struct {
	from     int
	flags    tcpka.Flags
	seq, len int
	ack, win int
	want     tcpka.Kind
}

var handshake = []step{
	{c, S, 0, 0, 0, open, tcpka.SYN},
	{s, SA, 0, 0, 1, open, tcpka.SYNACK},
	{c, A, 1, 0, 1, open, tcpka.Established},
}

var flows = []struct {
	name   string
	joined bool // begins after the handshake
	steps  []step
}{
	{"request and response", false, []step{
		{c, PA, 1, 100, 1, open, tcpka.Data},
		{s, A, 1, 0, 101, open, tcpka.Ack},
		{s, PA, 1, 300, 101, open, tcpka.Data},
		{c, A, 101, 0, 301, open, tcpka.Ack},
	}},
	{"probe right after the handshake", false, []step{
		{c, A, 0, 0, 1, open, tcpka.Probe},
		{s, A, 1, 0, 1, open, tcpka.ProbeAnswer},
	}},
	{"probes after data", false, []step{
		{c, PA, 1, 100, 1, open, tcpka.Data},
		{s, A, 1, 0, 101, open, tcpka.Ack},
		{c, A, 100, 0, 1, open, tcpka.Probe},
		{s, A, 1, 0, 101, open, tcpka.ProbeAnswer},
		{c, A, 100, 0, 1, open, tcpka.Probe},
		{s, A, 1, 0, 101, open, tcpka.ProbeAnswer},
		{c, PA, 101, 50, 1, open, tcpka.Data},
		{s, A, 1, 0, 151, open, tcpka.Ack},
		{c, A, 150, 0, 1, open, tcpka.Probe},
		{s, A, 1, 0, 151, open, tcpka.ProbeAnswer},
	}},
	{"one answer to a probe, and no more", false, []step{
		{c, A, 0, 0, 1, open, tcpka.Probe},
		{s, A, 1, 0, 1, open, tcpka.ProbeAnswer},
		{s, A, 1, 0, 1, open + 1, tcpka.Ack}, // a window update
	}},
	{"probe with a byte of garbage", false, []step{
		{s, PA, 1, 100, 1, open, tcpka.Data},
		{c, A, 1, 0, 101, open, tcpka.Ack},
		{s, A, 100, 1, 1, open, tcpka.Probe},
		{c, A, 1, 0, 101, open, tcpka.ProbeAnswer},
	}},
	{"the server probes", false, []step{
		{s, A, 0, 0, 1, open, tcpka.Probe},
		{c, A, 1, 0, 1, open, tcpka.ProbeAnswer},
	}},
	{"probes cross, both are answered", false, []step{
		{c, A, 0, 0, 1, open, tcpka.Probe},
		{s, A, 0, 0, 1, open, tcpka.Probe},
		{s, A, 1, 0, 1, open, tcpka.ProbeAnswer},
		{c, A, 1, 0, 1, open, tcpka.ProbeAnswer},
		{s, A, 0, 0, 1, open, tcpka.Probe},
		{c, A, 0, 0, 1, open, tcpka.Probe},
		{s, A, 1, 0, 1, open, tcpka.ProbeAnswer},
		{c, A, 1, 0, 1, open, tcpka.ProbeAnswer},
	}},
	{"unanswered probes, then RST", false, []step{
		{c, A, 0, 0, 1, open, tcpka.Probe},
		{c, A, 0, 0, 1, open, tcpka.Probe},
		{c, A, 0, 0, 1, open, tcpka.Probe},
		{c, RA, 1, 0, 1, open, tcpka.RST},
	}},
	{"a late answer counts once", false, []step{
		{c, A, 0, 0, 1, open, tcpka.Probe},
		{c, A, 0, 0, 1, open, tcpka.Probe},
		{s, A, 1, 0, 1, open, tcpka.ProbeAnswer},
		{s, A, 1, 0, 1, open, tcpka.Ack},
	}},
	{"the peer has rebooted", false, []step{
		{c, A, 0, 0, 1, open, tcpka.Probe},
		{s, R, 1, 0, 0, 0, tcpka.RST},
	}},
	{"new data after a probe is acknowledged, not answered", false, []step{
		{c, A, 0, 0, 1, open, tcpka.Probe},
		{c, PA, 1, 100, 1, open, tcpka.Data},
		{s, A, 1, 0, 101, open, tcpka.Ack},
		{s, A, 1, 0, 101, open, tcpka.Ack},
		{s, A, 1, 0, 1, open, tcpka.Ack}, // old, out of order
	}},
	{"data that crosses a probe is no answer", false, []step{
		{c, A, 0, 0, 1, open, tcpka.Probe},
		{s, PA, 1, 100, 1, open, tcpka.Data},
		{s, A, 101, 0, 1, open, tcpka.ProbeAnswer},
		{c, A, 1, 0, 101, open, tcpka.Ack},
	}},

	{"window probes while the window is closed", false, []step{
		{c, PA, 1, 1000, 1, open, tcpka.Data},
		{s, A, 1, 0, 1001, shut, tcpka.Ack},
		{c, A, 1000, 0, 1, open, tcpka.WindowProbe},
		{s, A, 1, 0, 1001, shut, tcpka.WindowProbeAnswer},
		{c, A, 1000, 0, 1, open, tcpka.WindowProbe},
		{s, A, 1, 0, 1001, shut, tcpka.WindowProbeAnswer},
		{s, A, 1, 0, 1001, open, tcpka.Ack}, // the window opens of itself
		{c, PA, 1001, 500, 1, open, tcpka.Data},
		{s, A, 1, 0, 1501, open, tcpka.Ack},
		{c, A, 1500, 0, 1, open, tcpka.Probe},
		{s, A, 1, 0, 1501, open, tcpka.ProbeAnswer},
	}},
	{"the answer to a window probe opens the window", false, []step{
		{c, PA, 1, 1000, 1, open, tcpka.Data},
		{s, A, 1, 0, 1001, shut, tcpka.Ack},
		{c, A, 1000, 0, 1, open, tcpka.WindowProbe},
		{s, A, 1, 0, 1001, open, tcpka.WindowProbeAnswer},
		{c, A, 1000, 0, 1, open, tcpka.Probe},
	}},
	{"one's own closed window makes no window probe", false, []step{
		{s, A, 1, 0, 1, shut, tcpka.Ack},
		{s, A, 0, 0, 1, shut, tcpka.Probe},
		{c, A, 1, 0, 1, open, tcpka.ProbeAnswer},
	}},
	{"window probe with a new byte", false, []step{
		{c, PA, 1, 1000, 1, open, tcpka.Data},
		{s, A, 1, 0, 1001, shut, tcpka.Ack},
		{c, A, 1001, 1, 1, open, tcpka.WindowProbe},
		{s, A, 1, 0, 1001, shut, tcpka.WindowProbeAnswer},
		{c, A, 1001, 1, 1, open, tcpka.WindowProbe},
		{s, A, 1, 0, 1001, shut, tcpka.WindowProbeAnswer},
		{s, A, 1, 0, 1001, open, tcpka.Ack},
		{c, PA, 1001, 200, 1, open, tcpka.Data},
	}},
	{"the new byte of a window probe is taken", false, []step{
		{c, PA, 1, 1000, 1, open, tcpka.Data},
		{s, A, 1, 0, 1001, shut, tcpka.Ack},
		{c, A, 1001, 1, 1, open, tcpka.WindowProbe},
		{s, A, 1, 0, 1002, open, tcpka.WindowProbeAnswer},
		{c, PA, 1002, 200, 1, open, tcpka.Data},
		{s, A, 1, 0, 1202, open, tcpka.Ack},
	}},

	{"FIN with a byte into a closed window", false, []step{
		{s, A, 1, 0, 1, shut, tcpka.Ack},
		{c, FA, 1, 1, 1, open, tcpka.FIN},
		{c, FA, 1, 1, 1, open, tcpka.Retransmission},
	}},
	{"a lost byte sent again is no probe", false, []step{
		{c, PA, 1, 1, 1, open, tcpka.Data},
		{c, PA, 1, 1, 1, open, tcpka.Retransmission},
		{c, PA, 1, 1, 1, open, tcpka.Retransmission},
		{s, A, 1, 0, 2, open, tcpka.Ack},
		{c, A, 1, 0, 1, open, tcpka.Probe},
	}},
	{"the last byte of many sent again is no probe", false, []step{
		{c, PA, 1, 100, 1, open, tcpka.Data},
		{s, A, 1, 0, 100, open, tcpka.Ack}, // all but one
		{c, PA, 100, 1, 1, open, tcpka.Retransmission},
	}},
	{"an old acknowledgment out of order is no probe", false, []step{
		{c, PA, 1, 1, 1, open, tcpka.Data},
		{c, A, 1, 0, 1, open, tcpka.Ack},
	}},
	{"an old acknowledgment out of order, when all is acknowledged", false, []step{
		{s, PA, 1, 100, 1, open, tcpka.Data},
		{s, PA, 101, 100, 1, open, tcpka.Data},
		{c, A, 1, 0, 201, open, tcpka.Ack},
		{c, FA, 1, 0, 201, open, tcpka.FIN},
		{s, A, 201, 0, 2, open, tcpka.Ack},
		{c, A, 1, 0, 101, open, tcpka.Ack},
		{c, A, 1, 0, 201, open, tcpka.Probe},
	}},
	{"retransmissions", false, []step{
		{c, PA, 1, 100, 1, open, tcpka.Data},
		{c, PA, 101, 100, 1, open, tcpka.Data},
		{c, PA, 1, 100, 1, open, tcpka.Retransmission},
		{c, PA, 1, 200, 1, open, tcpka.Retransmission},
		{c, PA, 101, 150, 1, open, tcpka.Data}, // new bytes behind old ones
		{s, A, 1, 0, 251, open, tcpka.Ack},
		{c, PA, 201, 50, 1, open, tcpka.Retransmission}, // the acknowledgment was lost
	}},
	{"out of order", false, []step{
		{c, PA, 101, 100, 1, open, tcpka.Data},
		{c, PA, 301, 100, 1, open, tcpka.Data},
		{c, PA, 1, 100, 1, open, tcpka.Data},
		{c, PA, 1, 100, 1, open, tcpka.Retransmission},
		{c, PA, 251, 50, 1, open, tcpka.Data}, // the end of a hole
		{c, PA, 201, 20, 1, open, tcpka.Data}, // its beginning
		{c, PA, 221, 30, 1, open, tcpka.Data},
		{c, PA, 201, 200, 1, open, tcpka.Retransmission},
	}},
	{"acknowledged before it is seen", false, []step{
		{s, A, 1, 0, 101, open, tcpka.Ack},
		{c, PA, 1, 100, 1, open, tcpka.Data},
		{c, PA, 1, 100, 1, open, tcpka.Retransmission},
	}},
	{"joining at an acknowledgment", true, []step{
		{c, A, 99, 0, 51, open, tcpka.Ack},
		{c, PA, 99, 1, 51, open, tcpka.Data},
		{s, A, 51, 0, 100, open, tcpka.Ack},
	}},
	{"a segment that the capture has missed", false, []step{
		{s, A, 1, 0, 101, open, tcpka.Ack},
		{c, A, 100, 0, 1, open, tcpka.Probe},
		{s, A, 1, 0, 101, open, tcpka.ProbeAnswer},
		{s, PA, 501, 10, 101, open, tcpka.Data},
	}},

	{"FIN both ways", false, []step{
		{c, FA, 1, 0, 1, open, tcpka.FIN},
		{s, A, 1, 0, 2, open, tcpka.Ack},
		{s, FA, 1, 0, 2, open, tcpka.FIN},
		{c, A, 2, 0, 2, open, tcpka.Ack},
	}},
	{"FIN with the last bytes, and again", false, []step{
		{c, FA, 1, 100, 1, open, tcpka.FIN},
		{c, FA, 1, 100, 1, open, tcpka.Retransmission},
		{c, FA, 101, 0, 1, open, tcpka.Retransmission},
		{s, A, 1, 0, 102, open, tcpka.Ack},
	}},
	{"half-closed sides probe too", false, []step{
		{c, FA, 1, 0, 1, open, tcpka.FIN},
		{s, A, 1, 0, 2, open, tcpka.Ack},
		{c, A, 1, 0, 1, open, tcpka.Probe}, // FIN-WAIT-2
		{s, A, 1, 0, 2, open, tcpka.ProbeAnswer},
		{s, A, 0, 0, 2, open, tcpka.Probe}, // CLOSE-WAIT
		{c, A, 2, 0, 1, open, tcpka.ProbeAnswer},
	}},
	{"RST", false, []step{
		{c, PA, 1, 100, 1, open, tcpka.Data},
		{s, R, 1, 0, 0, shut, tcpka.RST},
	}},
	{"the window of a RST closes nothing", false, []step{
		{s, RA, 5, 0, 1, shut, tcpka.RST}, // out of window: an attack, or late
		{c, A, 0, 0, 1, open, tcpka.Probe},
	}},

	{"SYN sent again", true, []step{
		{c, S, 0, 0, 0, open, tcpka.SYN},
		{c, S, 0, 0, 0, open, tcpka.Retransmission},
		{s, SA, 0, 0, 1, open, tcpka.SYNACK},
		{s, SA, 0, 0, 1, open, tcpka.Retransmission},
		{c, A, 1, 0, 1, open, tcpka.Established},
		{c, A, 1, 0, 1, open, tcpka.Ack},
		{c, A, 0, 0, 1, open, tcpka.Probe},
	}},
	{"SYN refused", true, []step{
		{c, S, 0, 0, 0, open, tcpka.SYN},
		{s, RA, 0, 0, 1, shut, tcpka.RST},
	}},
	{"the handshake ends with data", true, []step{
		{c, S, 0, 0, 0, open, tcpka.SYN},
		{s, SA, 0, 0, 1, open, tcpka.SYNACK},
		{c, PA, 1, 100, 1, open, tcpka.Data},
		{s, A, 1, 0, 101, open, tcpka.Ack},
		{c, A, 101, 0, 1, open, tcpka.Ack},
	}},
	{"no flags end no handshake", true, []step{
		{c, S, 0, 0, 0, open, tcpka.SYN},
		{s, SA, 0, 0, 1, open, tcpka.SYNACK},
		{c, 0, 1, 0, 1, open, tcpka.Ack},
		{c, A, 1, 0, 1, open, tcpka.Established},
	}},
	{"no flags answer no probe", false, []step{
		{c, A, 0, 0, 1, open, tcpka.Probe},
		{s, 0, 1, 0, 1, open, tcpka.Ack},
		{s, A, 1, 0, 1, open, tcpka.ProbeAnswer},
	}},
	{"both open", true, []step{
		{c, S, 0, 0, 0, open, tcpka.SYN},
		{s, S, 0, 0, 0, open, tcpka.SYN},
		{c, SA, 0, 0, 1, open, tcpka.Retransmission},
		{s, SA, 0, 0, 1, open, tcpka.Retransmission},
		{c, PA, 1, 100, 1, open, tcpka.Data},
		{s, A, 1, 0, 101, open, tcpka.Ack},
		{c, A, 100, 0, 1, open, tcpka.Probe},
	}},
	{"a new connection on the same ports", false, []step{
		{c, S, 5000, 0, 0, open, tcpka.SYN},
		{s, SA, 7000, 0, 5001, open, tcpka.SYNACK},
		{c, A, 5001, 0, 7001, open, tcpka.Established},
		{c, A, 5000, 0, 7001, open, tcpka.Probe},
		{s, A, 7001, 0, 5001, open, tcpka.ProbeAnswer},
	}},

	// Only an acknowledgment tells where an idle side stands: the first probe
	// is not known as one, those behind its answer are. Wireshark 4.0 does not
	// know them before data flows.
	{"joining an idle connection", true, []step{
		{c, A, 99, 0, 51, open, tcpka.Ack},
		{s, A, 51, 0, 100, open, tcpka.Ack},
		{c, A, 99, 0, 51, open, tcpka.Probe},
		{s, A, 51, 0, 100, open, tcpka.ProbeAnswer},
	}},
	{"joining at an answer", true, []step{
		{s, A, 51, 0, 100, open, tcpka.Ack},
		{c, A, 99, 0, 51, open, tcpka.Probe},
		{s, A, 51, 0, 100, open, tcpka.ProbeAnswer},
	}},
	{"joining at data", true, []step{
		{c, PA, 501, 100, 51, open, tcpka.Data},
		{c, PA, 501, 100, 51, open, tcpka.Retransmission},
		{s, A, 51, 0, 601, open, tcpka.Ack},
		{c, A, 600, 0, 51, open, tcpka.Probe},
		{s, A, 51, 0, 601, open, tcpka.ProbeAnswer},
		{s, A, 50, 0, 601, open, tcpka.Probe},
	}},
	{"joining at the end", true, []step{
		{c, FA, 501, 100, 51, open, tcpka.FIN},
		{c, FA, 501, 100, 51, open, tcpka.Retransmission},
		{s, FA, 51, 0, 602, open, tcpka.FIN},
	}},
	{"joining at the SYN-ACK", true, []step{
		{s, SA, 0, 0, 1, open, tcpka.SYNACK},
		{c, A, 1, 0, 1, open, tcpka.Established},
		{c, A, 0, 0, 1, open, tcpka.Probe},
	}},
}

// The answer shows what the first segment captured was, presumably.
func TestPresumed(t *testing.T) {
	var f tcpka.Flow
	if m := f.Next(c, tcpka.Segment{Seq: 99, Ack: 51, Flags: A, Window: open, Scale: -1}); m.Presumed {
		t.Errorf("%+v", m)
	}
	for i, want := range []bool{true, false} { // once
		if m := f.Next(s, tcpka.Segment{Seq: 51, Ack: 100, Flags: A, Window: open, Scale: -1}); m.Kind != tcpka.Ack || m.Presumed != want {
			t.Errorf("answer %d: %+v", i+1, m)
		}
	}
}

// A byte that comes again is a probe after a second of quiet, as kernels count,
// and before that a retransmission.
func TestQuiet(t *testing.T) {
	for _, tt := range []struct {
		quiet time.Duration
		want  tcpka.Kind
	}{{0, tcpka.Probe}, {300 * time.Millisecond, tcpka.Retransmission}, {time.Second, tcpka.Probe}} {
		var f tcpka.Flow
		f.Next(c, tcpka.Segment{Seq: 10, Ack: 20, Len: 1, Flags: PA, Window: open, Scale: -1})
		f.Next(s, tcpka.Segment{Seq: 20, Ack: 11, Flags: A, Window: open, Scale: -1})
		again := tcpka.Segment{Seq: 10, Ack: 20, Len: 1, Flags: PA, Window: open, Scale: -1, Quiet: tt.quiet}
		if got := f.Next(c, again).Kind; got != tt.want {
			t.Errorf("after %v: %v, want %v", tt.quiet, got, tt.want)
		}
	}
}

// Each flow runs with several first sequence numbers, so that the counting
// wraps around in every place, and with its sides exchanged: nothing may
// depend on either.
func TestFlow(t *testing.T) {
	for _, tt := range flows {
		t.Run(tt.name, func(t *testing.T) {
			steps := tt.steps
			if !tt.joined {
				steps = append(handshake[:len(handshake):len(handshake)], steps...)
			}
			for _, isn := range [][2]uint32{
				{0, 0}, {1000, 500000}, {0xffffffff, 0xfffffffe}, {0xffffffff - 99, 0xffffffff - 1000},
				{0x7fffffff, 0x80000000}, {0x7fffffff - 99, 0},
			} {
				for swap := range 2 {
					run(t, steps, isn, swap)
				}
			}
		})
	}
}

func run(t *testing.T, steps []step, isn [2]uint32, swap int) {
	t.Helper()
	var f tcpka.Flow
	for i, st := range steps {
		got := f.Next(st.from^swap, tcpka.Segment{
			Seq: isn[st.from] + uint32(st.seq), Ack: isn[1-st.from] + uint32(st.ack),
			Len: st.len, Window: uint16(st.win), Scale: -1, Flags: st.flags,
		})
		if got.Kind != st.want || got.Window != st.win {
			t.Fatalf("isn %#x, swap %d, segment %d (%s): %v, window %d; want %v, window %d",
				isn, swap, i, fmt.Sprintf("from %d, seq %d, len %d, ack %d", st.from, st.seq, st.len, st.ack),
				got.Kind, got.Window, st.want, st.win)
		}
	}
}

func TestFlowWindowScale(t *testing.T) {
	for _, tt := range []struct {
		name           string
		client, server int8 // what each offers
		wantC, wantS   int  // what 100 means from each
	}{
		{"offered by both", 7, 3, 100 << 7, 100 << 3},
		{"zero on one side", 0, 3, 100, 100 << 3},
		{"largest", 14, 14, 100 << 14, 100 << 14},
		{"larger counts as 14", 15, 127, 100 << 14, 100 << 14}, // RFC 7323 section 2.3
		{"offered by the client only", 7, -1, 100, 100},
		{"offered by the server only", -1, 3, 100, 100},
		{"offered by none", -1, -1, 100, 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f tcpka.Flow
			for i, st := range []struct {
				from int
				seg  tcpka.Segment
				want int
			}{
				// The window of a SYN is never scaled.
				{c, tcpka.Segment{Seq: 0, Flags: S, Window: 100, Scale: tt.client}, 100},
				{s, tcpka.Segment{Seq: 0, Ack: 1, Flags: SA, Window: 100, Scale: tt.server}, 100},
				{s, tcpka.Segment{Seq: 0, Ack: 1, Flags: SA, Window: 100, Scale: tt.server}, 100}, // sent again
				{c, tcpka.Segment{Seq: 1, Ack: 1, Flags: A, Window: 100, Scale: -1}, tt.wantC},
				{s, tcpka.Segment{Seq: 1, Ack: 1, Flags: A, Window: 100, Scale: -1}, tt.wantS},
				{s, tcpka.Segment{Seq: 1, Ack: 1, Flags: A, Window: 0, Scale: -1}, 0},
			} {
				if got := f.Next(st.from, st.seg); got.Window != st.want {
					t.Errorf("segment %d: window %d, want %d", i, got.Window, st.want)
				}
			}
			if got := f.Next(c, tcpka.Segment{Seq: 0, Ack: 1, Flags: A, Window: 100}); got.Kind != tcpka.WindowProbe {
				t.Errorf("with the window closed: %v, want %v", got.Kind, tcpka.WindowProbe)
			}
		})
	}

	t.Run("joined midway", func(t *testing.T) {
		var f tcpka.Flow
		if got := f.Next(c, tcpka.Segment{Seq: 1, Ack: 1, Flags: A, Window: 100, Scale: 7}); got.Window != 100 {
			t.Errorf("window %d: a scale that no SYN has offered counts", got.Window)
		}
	})
}
