package capture_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"slices"
	"testing"
	"time"

	"kax/internal/capture"
	"kax/internal/wire"
)

// written are packets whose bytes and stamps do not come out right by chance.
var written = []capture.Packet{
	{Time: time.Unix(1700000000, 0), Data: []byte("on the second, 23 bytes"), Length: 23, Link: wire.Ethernet},
	{Time: time.Unix(1700000000, 1), Data: []byte("one nanosecond later, and cut short"), Length: 65574, Link: wire.Ethernet},
	{Time: time.Unix(1700000000, 999999999), Data: bytes.Repeat([]byte{0, 0xff, 0x0a}, 1000), Length: 3000, Link: wire.Ethernet},
	{Time: time.Unix(1700000001, 123456789), Data: []byte("x"), Length: 1, Link: wire.Ethernet},
	{Time: time.Unix(1700000001, 123456788), Data: []byte{}, Length: 60, Link: wire.Ethernet}, // back by one
}

// rounded are packets as a file with a coarser resolution has them.
func rounded(packets []capture.Packet, to time.Duration) []capture.Packet {
	out := slices.Clone(packets)
	for i := range out {
		out[i].Time = out[i].Time.Truncate(to)
	}
	return out
}

type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// pcapBytes builds a pcap file: as the drafts have it, and not by the code that
// is tested.
func pcapBytes(order byteOrder, magic uint32, link wire.Link, packets ...capture.Packet) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint32(b, 262144)
	b = order.AppendUint32(b, uint32(link))
	for _, p := range packets {
		fraction := p.Time.Nanosecond()
		if magic != nanoMagic {
			fraction /= 1000
		}
		b = order.AppendUint32(b, uint32(p.Time.Unix()))
		b = order.AppendUint32(b, uint32(fraction))
		b = order.AppendUint32(b, uint32(len(p.Data)))
		b = order.AppendUint32(b, uint32(p.Length))
		if magic == modifiedMagic {
			b = append(b, "\x07\x07\x07\x07\x08\x08\x04\x00"...)
		}
		b = append(b, p.Data...)
	}
	return b
}

const (
	microMagic    = 0xa1b2c3d4
	nanoMagic     = 0xa1b23c4d
	modifiedMagic = 0xa1b2cd34
)

// ng builds the blocks of a pcapng section in one byte order.
type ng struct{ order byteOrder }

func (n ng) block(kind uint32, body []byte) []byte {
	body = append(body, make([]byte, -len(body)&3)...)
	size := uint32(len(body) + 12)
	b := n.order.AppendUint32(nil, kind)
	b = append(n.order.AppendUint32(b, size), body...)
	return n.order.AppendUint32(b, size)
}

func (n ng) option(code uint16, value string) []byte {
	b := n.order.AppendUint16(nil, code)
	b = append(n.order.AppendUint16(b, uint16(len(value))), value...)
	return append(b, make([]byte, -len(value)&3)...)
}

func (n ng) section(options ...[]byte) []byte {
	b := n.order.AppendUint32(nil, 0x1a2b3c4d)
	b = n.order.AppendUint16(b, 1)
	b = n.order.AppendUint16(b, 0)
	b = n.order.AppendUint64(b, 1<<64-1)
	return n.block(0x0a0d0d0a, append(b, bytes.Join(options, nil)...))
}

func (n ng) iface(link wire.Link, snaplen uint32, options ...[]byte) []byte {
	b := n.order.AppendUint16(nil, uint16(link))
	b = n.order.AppendUint16(b, 0)
	b = n.order.AppendUint32(b, snaplen)
	return n.block(1, append(b, bytes.Join(options, nil)...))
}

// enhanced is a packet block with a stamp in units of its interface.
func (n ng) enhanced(id uint32, stamp uint64, p capture.Packet, options ...[]byte) []byte {
	b := n.order.AppendUint32(nil, id)
	return n.block(6, n.rest(b, stamp, p, options...))
}

// old is the obsolete packet block.
func (n ng) old(id, drops uint16, stamp uint64, p capture.Packet, options ...[]byte) []byte {
	b := n.order.AppendUint16(nil, id)
	b = n.order.AppendUint16(b, drops)
	return n.block(2, n.rest(b, stamp, p, options...))
}

func (n ng) rest(b []byte, stamp uint64, p capture.Packet, options ...[]byte) []byte {
	b = n.order.AppendUint32(b, uint32(stamp>>32))
	b = n.order.AppendUint32(b, uint32(stamp))
	b = n.order.AppendUint32(b, uint32(len(p.Data)))
	b = n.order.AppendUint32(b, uint32(p.Length))
	b = append(b, p.Data...)
	b = append(b, make([]byte, -len(p.Data)&3)...)
	return append(b, bytes.Join(options, nil)...)
}

func (n ng) simple(p capture.Packet) []byte {
	return n.block(3, append(n.order.AppendUint32(nil, uint32(p.Length)), p.Data...))
}

// pcapngBytes are packets of one interface with nanoseconds.
func pcapngBytes(order byteOrder, packets ...capture.Packet) []byte {
	n := ng{order}
	b := append(n.section(), n.iface(wire.Ethernet, 0, n.option(9, "\x09"))...)
	for _, p := range packets {
		b = append(b, n.enhanced(0, uint64(p.Time.UnixNano()), p)...)
	}
	return b
}

// zip compresses each piece as a member of its own.
func zip(t testing.TB, pieces ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, piece := range pieces {
		z := gzip.NewWriter(&out)
		if _, err := z.Write(piece); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// read returns the packets of an input, copies, and what ends it.
func read(r io.Reader) (*capture.File, []capture.Packet, error) {
	f, err := capture.NewFile(r, "x")
	if err != nil {
		return nil, nil, err
	}
	var all []capture.Packet
	for {
		var p capture.Packet
		if err := f.Next(&p); err != nil {
			return f, all, err
		}
		p.Data = bytes.Clone(p.Data)
		all = append(all, p)
	}
}

// same compares packets, all of their fields.
func same(t testing.TB, got, want []capture.Packet) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d packets, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		if !g.Time.Equal(w.Time) || !bytes.Equal(g.Data, w.Data) || g.Length != w.Length || g.Interface != w.Interface || g.Link != w.Link {
			t.Errorf("packet %d: at %v, %d of %d bytes, interface %d, %v\n%x, want at %v, %d of %d bytes, interface %d, %v\n%x", i+1,
				g.Time.UTC(), len(g.Data), g.Length, g.Interface, g.Link, g.Data, w.Time.UTC(), len(w.Data), w.Length, w.Interface, w.Link, w.Data)
		}
	}
}
