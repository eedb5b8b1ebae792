package dissect_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"kax/internal/dissect"
	"kax/internal/timeline"
	"kax/internal/wire"
)

// frames gives each frame its context, as packets of one file.
func frames(link wire.Link, data ...[]byte) []timeline.Packet {
	var pass dissect.Pass
	var contexts []dissect.Context
	for i, f := range data {
		at := time.Unix(1_700_000_000, 0).UTC().Add(time.Duration(i) * time.Second)
		contexts = append(contexts, pass.Next(dissect.Frame{Link: link, Data: f, Length: len(f), Time: at}))
	}
	var packets []timeline.Packet
	for i, f := range data {
		packets = append(packets, dissect.Packet(f, contexts[i]))
	}
	return packets
}

func says(t *testing.T, p timeline.Packet, want ...string) {
	t.Helper()
	all := strings.Join(append(written(p), p.Meaning...), "\n")
	for _, w := range want {
		if !strings.Contains(all, w) {
			t.Errorf("no %q in\n%s", w, all)
		}
	}
}

// What a packet tells of its connection counts for those before it, and ports
// that are used again make another connection.
func TestPass(t *testing.T) {
	p := frames(wire.Raw, talk()...)
	for i, want := range [][]string{
		{"[Stream index: 0]", "[Conversation completeness: Complete, WITH_DATA (31)]", "Sequence Number: 0    (rel"},
		{"Acknowledgment Number: 1    (relative ack number)"},
		{"Sequence Number: 1    (rel", "[Time since first frame in this TCP stream: 2.000000000 seconds]"},
		{"[Next Sequence Number: 6    (rel", "5 bytes of data, port 40000 to port 80"},
		{"Acknowledgment Number: 6    (rel", "[Time since previous frame in this TCP stream: 1.000000000 seconds]"},
		{"Looks like a keepalive probe: it carries no data, and its sequence number is one below the next"},
		{"FIN: port 40000 has sent all"},
		{"[Conversation completeness: Complete, WITH_DATA (31)]"},
		{"[Stream index: 1]", "[Conversation completeness: Incomplete (37)]", "Sequence Number: 0    (rel"},
		{"RST: port 80 refuses the connection."},
		{"[Stream index: 1]", "Sequence Number: 0    (rel"},
		{"[Stream index: 2]", "[Conversation completeness: Incomplete (0)]", "Sequence Number: 1    (rel", "[Window size scaling factor: -1 (unknown)]"},
	} {
		says(t, p[i], want...)
	}
	for i, packet := range p {
		if probe := strings.Contains(strings.Join(packet.Meaning, " "), "Looks like a keepalive probe"); probe != (i == 5) {
			t.Errorf("packet %d: %q", i+1, packet.Meaning)
		}
	}
}

// A pass over a long file costs memory for its connections only.
func TestPassAllocatesNothing(t *testing.T) {
	var pass dissect.Pass
	f := dissect.Frame{Link: wire.Raw, Data: there(40000, 0x18, 101, 501, "hello"), Length: 45}
	pass.Next(f)
	if n := testing.AllocsPerRun(100, func() { pass.Next(f) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

func TestMeaning(t *testing.T) {
	synWith := func(options string) []byte { return raw(inTCP(40000, 0x02, options, ""), false) }
	for _, tt := range []struct {
		name  string
		frame []byte
		want  string
	}{
		{"syn", synWith("0204 3fd8 01 0303 06 0101 080a 00000001 00000000 0402 0000"), "SYN: opens a connection to port 80; offers MSS 16344, window scale 6, timestamps and SACK."},
		{"syn without options", synWith(""), "SYN: opens a connection to port 80, without any option."},
		{"syn with one", synWith("020405b4"), "SYN: opens a connection to port 80; offers MSS 1460."},
		{"syn-ack", back(40000, 0x12, 1, 2, ""), "SYN, ACK: port 80 accepts the connection from port 40000, without any option."},
		{"ack", there(40000, 0x10, 1, 2, ""), "ACK without data: port 40000 has received all bytes before 1. A keepalive probe, and the answer to one, look the same: only the connection's history tells."},
		{"one byte", there(40000, 0x10, 1, 2, "\x00"), "Looks like a keepalive probe: an acknowledgment that carries a single byte; only its connection's history tells."},
		{"request", there(40000, 0x18, 1, 2, "GET /keep HTTP/1.1\r\n\r\n"), "22 bytes of data, port 40000 to port 80: an HTTP request, GET /keep."},
		{"response", back(40000, 0x18, 1, 2, "HTTP/1.1 204 No Content\r\n\r\n"), "27 bytes of data, port 80 to port 40000: an HTTP response, status 204."},
		{"tls", there(40000, 0x18, 1, 2, "\x16\x03\x01\x00\x05hello"), "10 bytes of data, port 40000 to port 80: a TLS record, encrypted or about to be."},
		{"fin", there(40000, 0x11, 1, 2, ""), "FIN: port 40000 has sent all that it will send on this connection; it may still receive."},
		{"rst", there(40000, 0x04, 100, 0, ""), "RST: port 40000 declares the connection void; whatever was under way is lost."},
		{"no flag", there(40000, 0, 1, 2, ""), "No flag is set: no segment of any connection (a scanner's)."},
		{"urgent only", there(40000, 0x20, 1, 2, ""), "No ACK flag: a segment of an open connection has it (RFC 9293 section 3.1), and no other flag here explains the lack."},
		{"cut", there(40000, 0x10, 1, 2, "")[:30], "The frame ends before its headers do."},
		{"fragment", inIPv4("", inTCP(1, 0x10, "", ""), put16(6, 0x2000)), "A fragment of an IP packet: the TCP segment is there when all its fragments are."},
		{"ipv6 fragment", inIPv6(44, join(unhex("0600 0001 00000007"), inTCP(1, 0x10, "", ""))), "A fragment of an IP packet: the TCP segment is there when all its fragments are."},
		{"udp", inIPv4("", make([]byte, 8), put8(9, 17)), "No TCP segment."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(frames(wire.Raw, tt.frame)[0].Meaning, " "); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
	frame := there(40000, 0x10, 1, 2, "")
	var pass dissect.Pass
	c := pass.Next(dissect.Frame{Link: wire.Raw, Data: frame, Length: len(frame)})
	c.Verdict = "Probe 3 of the client."
	if got := dissect.Packet(frame, c).Meaning; !slices.Equal(got, []string{"Probe 3 of the client."}) {
		t.Errorf("with a verdict: %q", got)
	}
}

// The last fragment shows the whole segment.
func TestFragments(t *testing.T) {
	whole := inTCP(40000, 0x02, "020405b4", "")
	p := frames(wire.Raw, inIPv4("", whole[:16], put16(6, 0x2000)), inIPv4("", whole[16:], put16(6, 2)))
	says(t, p[0], "Data (16 bytes)", "A fragment")
	says(t, p[1], "[Reassembled IPv4 length: 24]", "MSS Value: 1460", "SYN: opens a connection to port 80; offers MSS 1460.")
	for _, l := range p[1].Layers {
		if l.Name == "tcp" && (l.Offset != 0 || l.Length != 0) {
			t.Errorf("the segment stands at %d, %d bytes, of a frame that has a part of it", l.Offset, l.Length)
		}
	}
}

// The head of an HTTP message has its lines, and text of the network is escaped.
func TestHTTP(t *testing.T) {
	p := frames(wire.Raw, there(1, 0x18, 1, 2, "POST /a\x1b[31m HTTP/1.1\r\nHost: \u202ex\r\nContent-Length: 3\r\n\r\nabc"))[0]
	says(t, p, `    POST /a\033[31m HTTP/1.1\r\n`, `        Request URI: /a\033[31m`, `    Host: \342\200\256x\r\n`, "    Content-Length: 3", `    \r\n`)
	l := p.Layers[len(p.Layers)-1]
	if l.Name != "http" || l.Offset != 40 || l.Length != len(p.Frame)-40-3 {
		t.Errorf("%s at %d, %d bytes", l.Name, l.Offset, l.Length)
	}
	for _, data := range []string{"GET", "GET /", "GET / HTTP/1.1", "HTTP/1.1", "\r\n\r\n", "not HTTP at all\r\n", "T / HTTP/1.1\r\n"} {
		p := frames(wire.Raw, there(1, 0x18, 1, 2, data))[0]
		if slices.ContainsFunc(p.Layers, func(l timeline.Layer) bool { return l.Name == "http" }) {
			t.Errorf("%q is taken for HTTP", data)
		}
	}
}

func TestGuess(t *testing.T) {
	v4, v6 := inIPv4("", inTCP(1, 2, "", "")), inIPv6(6, inTCP(1, 2, "", ""))
	for _, tt := range []struct {
		name  string
		frame []byte
		want  wire.Link
		sure  bool
	}{
		{"raw", v4, wire.Raw, true},
		{"raw ipv6", v6, wire.Raw, true},
		{"null", join(unhex("02000000"), v4), wire.Null, true},
		{"null of a big-endian machine, or loop", join(unhex("00000002"), v4), wire.Null, true},
		{"null ipv6", join(unhex("1e000000"), v6), wire.Null, true},
		{"ethernet", ether(0x800, v4, ""), wire.Ethernet, true},
		{"vlan", ether(0x800, v4, "8100602a"), wire.Ethernet, true},
		{"arp", ether(0x806, make([]byte, 28), ""), wire.Ethernet, true},
		{"ethernet to an address like an IP header", join(unhex("450000280001 020000000001 0800"), v4), wire.Ethernet, true},
		{"sll", join(unhex("0000 0304 0006 0000000000000000 0800"), v4), wire.SLL, true},
		{"sll2", join(unhex("86dd 0000 00000001 0304 04 06 0000000000000000"), v6), wire.SLL2, true},
		{"nothing known", make([]byte, 60), wire.Ethernet, false},
		{"nothing", nil, wire.Ethernet, false},
	} {
		if got, why, sure := dissect.Guess(tt.frame); got != tt.want || sure != tt.sure || why == "" {
			t.Errorf("%s: %v, %q, %v", tt.name, got, why, sure)
		}
	}
}

func TestCompleteness(t *testing.T) {
	for c, want := range map[dissect.Completeness]string{
		0: "Incomplete", 1: "Incomplete, SYN_SENT", 3: "Incomplete, CLIENT_ESTABLISHED", 7: "Incomplete, ESTABLISHED", 15: "Incomplete, DATA",
		23: "Complete, NO_DATA", 31: "Complete, WITH_DATA", 39: "Complete, NO_DATA", 47: "Complete, WITH_DATA", 55: "Complete, NO_DATA",
		63: "Complete, WITH_DATA", 33: "Incomplete", 12: "Incomplete", 24: "Incomplete",
	} {
		if got := c.String(); got != want {
			t.Errorf("%d: %q, want %q", c, got, want)
		}
	}
}

func FuzzPacket(f *testing.F) {
	for link, all := range handmade() {
		for _, frame := range all {
			f.Add(uint16(link), frame)
		}
	}
	f.Add(uint16(105), []byte("802.11"))
	f.Fuzz(func(t *testing.T, number uint16, frame []byte) {
		link := wire.Link(number)
		half := frame[:len(frame)/2]
		// Twice, so that a fragment may complete another; and snapped.
		for _, p := range frames(link, frame, frame, half) {
			check(t, p)
		}
		var pass dissect.Pass
		check(t, dissect.Packet(half, pass.Next(dissect.Frame{Link: link, Data: half, Length: len(frame)})))
		_, _, _ = dissect.Guess(frame)
	})
}

// check holds what is true of every dissection: fields stand in the frame, their
// text is fit to be shown, something is said of it, and JSON keeps it all.
func check(t *testing.T, p timeline.Packet) {
	t.Helper()
	var walk func(f timeline.Field)
	walk = func(f timeline.Field) {
		if f.Offset < 0 || f.Length < 0 || f.Offset+f.Length > len(p.Frame) {
			t.Errorf("%q stands at %d, %d bytes, in a frame of %d", f.Text, f.Offset, f.Length, len(p.Frame))
		}
		if f.Text == "" || strings.ContainsFunc(f.Text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("text %q", f.Text)
		}
		for _, sub := range f.Fields {
			walk(sub)
		}
	}
	for _, l := range p.Layers {
		walk(l.Field)
	}
	if len(p.Meaning) == 0 {
		t.Error("no meaning")
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var again timeline.Packet
	if err := json.Unmarshal(b, &again); err != nil || !reflect.DeepEqual(again.Layers, p.Layers) || string(again.Frame) != string(p.Frame) {
		t.Errorf("JSON does not keep it: %v", err)
	}
}
