package wire_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"kax/internal/wire"
)

// A part of a datagram: bytes from, to, of total.
type part struct{ from, to, total int }

// fragment4 is an IPv4 fragment as an Ethernet frame.
func fragment4(id uint16, datagram []byte, p part) []byte {
	word := uint16(p.from / 8)
	if p.to < p.total {
		word |= 0x2000
	}
	return ether(ipv4, inIPv4(tcp, nil, datagram[p.from:p.to], put16(4, id), put16(6, word)))
}

// fragment6 is an IPv6 fragment, of the header that the datagram begins with.
func fragment6(id uint16, first byte, datagram []byte, p part) []byte {
	head := fragHeader(first, uint16(p.from/8), p.to < p.total)
	binary.BigEndian.PutUint32(head[4:], uint32(id))
	return ether(ipv6, inIPv6(fragment, join(head, datagram[p.from:p.to])))
}

// feed gives a decoder frames, of which all but the last say ErrFragment.
func feed(t *testing.T, d *wire.Decoder, frames ...[]byte) (wire.Segment, error) {
	t.Helper()
	var s wire.Segment
	for i, f := range frames {
		err := d.Decode(wire.Ethernet, f, &s)
		if i == len(frames)-1 {
			return s, err
		}
		if !errors.Is(err, wire.ErrFragment) {
			t.Errorf("fragment %d of %d: %v", i+1, len(frames), err)
		}
	}
	return s, nil
}

func empty(t *testing.T, d *wire.Decoder) {
	t.Helper()
	if n, bytes := d.Held(); n != 0 || bytes != 0 {
		t.Errorf("%d datagrams and %d bytes are held", n, bytes)
	}
}

func TestFragments(t *testing.T) {
	datagram := inTCP(pshAck, nil, "hello") // 25 bytes
	parts := []part{{0, 8, 25}, {8, 16, 25}, {16, 24, 25}, {24, 25, 25}}
	for _, version := range []struct {
		name string
		v6   bool
		cut  func(p part) []byte
	}{
		{"ipv4", false, func(p part) []byte { return fragment4(1, datagram, p) }},
		{"ipv6", true, func(p part) []byte { return fragment6(1, tcp, datagram, p) }},
	} {
		want := hello(version.v6)
		for name, order := range map[string][]int{
			"in order": {0, 1, 2, 3}, "backwards": {3, 2, 1, 0}, "mixed": {2, 0, 3, 1},
			"one twice": {0, 0, 1, 2, 3}, "the last twice": {3, 0, 3, 1, 2}, "each twice": {0, 0, 1, 1, 2, 2, 3},
		} {
			t.Run(version.name+" "+name, func(t *testing.T) {
				var d wire.Decoder
				var frames [][]byte
				for _, i := range order {
					frames = append(frames, version.cut(parts[i]))
				}
				got, err := feed(t, &d, frames...)
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("error %v\ngot  %+v\nwant %+v", err, got, want)
				}
				empty(t, &d)
			})
		}
	}
}

// The frame's memory is the caller's again after each call, and a whole frame
// in between belongs to neither datagram.
func TestFragmentsAreCopied(t *testing.T) {
	var d wire.Decoder
	var s wire.Segment
	datagram := inTCP(pshAck, nil, "hello")
	first := fragment4(1, datagram, part{0, 16, 25})
	_ = d.Decode(wire.Ethernet, first, &s)
	clear(first)
	if err := d.Decode(wire.Ethernet, ether(ipv4, inIPv4(tcp, nil, inTCP(ack, nil, ""))), &s); err != nil {
		t.Fatal(err)
	}
	got, err := feed(t, &d, fragment4(1, datagram, part{16, 25, 25}))
	if want := hello(false); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("error %v\ngot  %+v\nwant %+v", err, got, want)
	}
}

func TestFragmentsInterleaved(t *testing.T) {
	a, b := inTCP(pshAck, nil, "hello"), inTCP(ack, nil, "other")
	var d wire.Decoder
	got, err := feed(t, &d, fragment4(1, a, part{0, 16, 25}), fragment4(2, b, part{0, 16, 25}), fragment4(1, a, part{16, 25, 25}))
	if want := hello(false); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("error %v\ngot  %+v\nwant %+v", err, got, want)
	}
	if got, err = feed(t, &d, fragment4(2, b, part{16, 25, 25})); err != nil || string(got.Payload) != "other" {
		t.Errorf("error %v, %+v", err, got)
	}
	empty(t, &d)
}

// In IPv6 further extension headers are cut up with the rest.
func TestFragmentsOfExtensions(t *testing.T) {
	datagram := join(ext(tcp, 1), inTCP(pshAck, nil, "hello"))
	var d wire.Decoder
	got, err := feed(t, &d, fragment6(1, destOpts, datagram, part{0, 8, 41}), fragment6(1, destOpts, datagram, part{8, 41, 41}))
	if want := hello(true); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("error %v\ngot  %+v\nwant %+v", err, got, want)
	}
	udpInside := join(ext(udp, 1), make([]byte, 25))
	if _, err = feed(t, &d, fragment6(1, destOpts, udpInside, part{0, 8, 41}), fragment6(1, destOpts, udpInside, part{8, 41, 41})); !errors.Is(err, wire.ErrNotTCP) {
		t.Errorf("udp in fragments: %v", err)
	}
	nested := join(fragHeader(tcp, 0, true), inTCP(pshAck, nil, "hello"))
	nested = join([]byte{fragment, 0, 1, 4, 0, 0, 0, 0}, nested)
	if _, err = feed(t, &d, fragment6(1, destOpts, nested, part{0, 8, 41}), fragment6(1, destOpts, nested, part{8, 41, 41})); !errors.Is(err, wire.ErrBad) {
		t.Errorf("fragment in fragments: %v", err)
	}
	empty(t, &d)
}

// Of snapped fragments the lengths are known, and the bytes up to the first that
// is not there.
func TestFragmentsSnapped(t *testing.T) {
	datagram := inTCP(pshAck, nil, "hello, world") // 32 bytes
	first := fragment4(1, datagram, part{0, 24, 32})
	var d wire.Decoder
	got, err := feed(t, &d, first[:len(first)-2], fragment4(1, datagram, part{24, 32, 32}))
	if err != nil || got.Len != 12 || string(got.Payload) != "he" {
		t.Errorf("error %v, length %d, payload %q", err, got.Len, got.Payload)
	}
	if got, err = feed(t, &d, first[:34], fragment4(1, datagram, part{24, 32, 32})); !errors.Is(err, wire.ErrShort) {
		t.Errorf("no header there: %v, %+v", err, got)
	}
}

// What cannot be parts of one datagram voids it, as in Linux
// (inet_frag_queue_insert, ip_frag_queue).
func TestFragmentsContradict(t *testing.T) {
	long := make([]byte, 1<<16)
	copy(long, inTCP(pshAck, nil, "hello"))
	for _, tt := range []struct {
		name  string
		parts []part
		held  int
	}{
		{"an overlap", []part{{0, 16, 40}, {8, 24, 40}}, 0},
		{"an overlap before", []part{{16, 32, 40}, {8, 24, 40}}, 0},
		{"around another", []part{{16, 24, 40}, {8, 32, 40}}, 0},
		{"teardrop: the last inside the first", []part{{0, 36 - 4, 40}, {24, 28, 28}}, 0},
		{"two ends", []part{{16, 40, 40}, {8, 12, 12}}, 0},
		{"beyond the end", []part{{16, 24, 24}, {24, 32, 40}}, 0},
		{"an end before what there is", []part{{16, 24, 40}, {8, 16, 16}}, 0},
		{"an end that is none any more", []part{{0, 16, 40}, {8, 16, 16}}, 0},
		{"ping of death", []part{{0, 8, 40}, {65528, 65536, 65536}}, 1},
		{"an odd length", []part{{0, 8, 40}, {8, 13, 40}}, 1},
		{"no bytes", []part{{0, 8, 40}, {8, 8, 40}}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var d wire.Decoder
			var frames [][]byte
			for _, p := range tt.parts {
				frames = append(frames, fragment4(1, long, p))
			}
			if _, err := feed(t, &d, frames...); !errors.Is(err, wire.ErrBad) {
				t.Errorf("error %v", err)
			}
			if n, _ := d.Held(); n != tt.held {
				t.Errorf("%d datagrams held, want %d", n, tt.held)
			}
		})
	}
}

// The oldest datagrams make room.
func TestFragmentsAreBounded(t *testing.T) {
	long := make([]byte, 60000)
	copy(long, inTCP(pshAck, nil, "hello"))
	var d wire.Decoder
	for id := range uint16(1000) {
		if _, err := feed(t, &d, fragment4(id, long, part{0, 8 << (id % 13), 60000})); !errors.Is(err, wire.ErrFragment) {
			t.Fatal(err)
		}
		if n, bytes := d.Held(); n > wire.MaxDatagrams || bytes > wire.MaxHeld {
			t.Fatalf("%d datagrams and %d bytes are held", n, bytes)
		}
	}
	// The last one is there still, and the first is gone.
	if _, err := feed(t, &d, fragment4(0, long, part{8, 60000, 60000})); !errors.Is(err, wire.ErrFragment) {
		t.Errorf("first: %v", err)
	}
	if s, err := feed(t, &d, fragment4(999, long, part{8 << (999 % 13), 60000, 60000})); err != nil || s.Len != 59980 {
		t.Errorf("last: %v, %d bytes", err, s.Len)
	}
	var tiny wire.Decoder
	for id := range uint16(3) {
		for from := 8; from < 60000; from += 8 {
			_, _ = feed(t, &tiny, fragment4(id, long, part{from, from + 8, 60000}))
		}
	}
	if n, bytes := tiny.Held(); n != 1 || bytes > wire.MaxHeld {
		t.Errorf("%d datagrams and %d bytes are held, in pieces of 8", n, bytes)
	}
}

// However a datagram is cut and shuffled, and among others that are never
// completed, it comes out whole.
func TestFragmentsAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var d wire.Decoder
	for id := range uint16(300) {
		data := make([]byte, r.IntN(3000))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		datagram := inTCP(pshAck, nil, string(data))
		var frames [][]byte
		for from := 0; from < len(datagram); {
			to := min(from+8*(1+r.IntN(40)), len(datagram))
			frames = append(frames, fragment4(id, datagram, part{from, to, len(datagram)}))
			from = to
		}
		r.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
		if r.IntN(3) == 0 { // one is lost
			for _, f := range frames[1:] {
				_, _ = feed(t, &d, f)
			}
			continue
		}
		s, err := feed(t, &d, frames...)
		if err != nil || !slices.Equal(s.Payload, data) {
			t.Fatalf("datagram %d in %d pieces: %v, %d bytes of %d", id, len(frames), err, len(s.Payload), len(data))
		}
	}
}

func FuzzFragments(f *testing.F) {
	f.Add([]byte{0, 0, 2, 1, 0, 2, 1, 0})
	f.Add([]byte{0, 0, 4, 1, 0, 2, 2, 1, 1, 0, 1, 1, 0, 4, 9, 0})
	f.Add([]byte{0x80, 0, 2, 1, 0x80, 2, 1, 0, 0x81, 255, 255, 1})
	long := make([]byte, 70000)
	copy(long, inTCP(pshAck, nil, "hello"))
	// Each four bytes are a fragment: version and datagram, offset, length, and
	// whether more will come.
	f.Fuzz(func(t *testing.T, script []byte) {
		var d wire.Decoder
		for ; len(script) >= 4; script = script[4:] {
			p := part{from: 8 * int(script[1]), total: 1 << 20}
			if script[3]&2 != 0 {
				p.from <<= 5
			}
			p.to = p.from + 8*int(script[2])
			if script[3]&1 == 0 {
				p.to += int(script[3] >> 5)
				p.total = p.to
			}
			p.from, p.to = min(p.from, 65528), min(p.to, 65535)
			p.to = max(p.to, p.from)
			frame := fragment4(uint16(script[0]), long, p)
			if script[0]&0x80 != 0 {
				frame = fragment6(uint16(script[0]), tcp, long, p)
			}
			if script[3]&4 != 0 { // snapped
				frame = frame[:len(frame)-(p.to-p.from)/2]
			}
			var s wire.Segment
			err := d.Decode(wire.Ethernet, frame, &s)
			if err != nil && !known(err) {
				t.Errorf("unknown error %v", err)
			}
			if err == nil {
				sane(t, long, s)
			}
			if n, bytes := d.Held(); n > wire.MaxDatagrams || bytes > wire.MaxHeld {
				t.Errorf("%d datagrams and %d bytes are held", n, bytes)
			}
		}
	})
}
