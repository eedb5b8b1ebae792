package capture

import (
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"time"

	"kax/internal/wire"
)

// Blocks and options that are read, and written (draft-ietf-opsawg-pcapng,
// sections 4 and 3.5).
const (
	blockSection     = pcapngMagic
	blockInterface   = 1
	blockOldPacket   = 2 // obsolete
	blockSimple      = 3
	blockPacket      = 6
	orderMagic       = 0x1a2b3c4d
	orderMagicBig    = 0x4d3c2b1a
	optionEnd        = 0
	optionName       = 2  // of an interface
	optionUserAppl   = 4  // of a section
	optionResolution = 9  // of an interface's stamps
	optionOffset     = 14 // the same
)

const (
	// maxInterfaces bounds the memory that a file of nothing but interfaces takes:
	// gzip makes some KiB of it.
	maxInterfaces = 1 << 13
	maxName       = 255
)

type pcapng struct {
	order
	all     []Interface
	index   map[Interface]int // in all, by everything but Snaplen
	section []described       // the interfaces of the section, by ID
}

// described is what packets need of their interface.
type described struct {
	index   int // in all
	link    wire.Link
	snaplen uint32
	units   uint64 // of the stamps, to a second
	offset  int64  // of the stamps, in seconds
}

func (g *pcapng) next(in *input, p *Packet) error {
	for {
		if got, err := g.block(in, p); got || err != nil {
			return err
		}
	}
}

// block reads one block, and reports whether it was a packet.
func (g *pcapng) block(in *input, p *Packet) (bool, error) {
	at := in.offset()
	b, err := in.peek(12) // the least that a block has
	if err != nil {
		if errors.Is(err, io.EOF) && len(b) == 0 {
			return false, io.EOF
		}
		return false, cut(at, "a block", len(b), 12, err)
	}
	kind, least := g.uint32(b), uint32(12)
	if kind == blockSection {
		switch binary.LittleEndian.Uint32(b[8:]) {
		case orderMagic:
			g.big = false
		case orderMagicBig:
			g.big = true
		default:
			return false, damage(at, "a section header without its magic number")
		}
		least = 28
	}
	size := g.uint32(b[4:])
	if size < least || size%4 != 0 {
		return false, damage(at, "a block of %d bytes", size)
	}
	switch kind {
	case blockPacket, blockSimple, blockOldPacket, blockInterface:
	default:
		return false, g.pass(in, at, kind, size)
	}
	if size > BufferSize {
		return false, damage(at, "a block of type %d with %d bytes: more than %d", kind, size, BufferSize)
	}
	if len(b) < int(size) {
		if b, err = in.fill(int(size)); err != nil {
			return false, cut(at, "a block", len(b), int(size), err)
		}
	}
	if again := g.uint32(b[size-4:]); again != size {
		return false, damage(at, "a block of %d bytes at its beginning, %d at its end", size, again)
	}
	in.start += int(size)
	body := b[8 : size-4]
	switch kind {
	case blockInterface:
		return false, g.describe(at, body)
	case blockSimple:
		return true, g.simple(at, body, p)
	default:
		return true, g.packet(at, kind, body, p)
	}
}

// pass goes past a block that is of no interest but for a section's beginning.
func (g *pcapng) pass(in *input, at int64, kind, size uint32) error {
	if kind == blockSection {
		b, err := in.peek(16)
		if err != nil {
			return cut(at, "a section header", len(b), int(size), err)
		}
		if major, minor := g.uint16(b[12:]), g.uint16(b[14:]); major != 1 {
			return damage(at, "pcapng version %d.%d: %w", major, minor, errors.ErrUnsupported)
		}
		g.section = g.section[:0]
	}
	if err := in.skip(int64(size) - 4); err != nil {
		return cut(at, "a block", int(in.offset()-at), int(size), err)
	}
	b, err := in.peek(4)
	if err != nil {
		return cut(at, "a block", int(in.offset()-at)+len(b), int(size), err)
	}
	if again := g.uint32(b); again != size {
		return damage(at, "a block of %d bytes at its beginning, %d at its end", size, again)
	}
	in.start += 4
	return nil
}

// describe adds an interface to the section.
func (g *pcapng) describe(at int64, b []byte) error {
	if len(b) < 8 {
		return damage(at, "an interface description of %d bytes", len(b)+12)
	}
	if len(g.all) == maxInterfaces {
		return damage(at, "more than %d interfaces", maxInterfaces)
	}
	d := described{link: wire.Link(g.uint16(b)), snaplen: g.uint32(b[4:]), units: 1e6}
	name := ""
	for b = b[8:]; len(b) >= 4; {
		code, n := g.uint16(b), int(g.uint16(b[2:]))
		b = b[4:]
		if code == optionEnd {
			break
		}
		if n > len(b) {
			return damage(at, "an option of %d bytes, where the block has %d left", n, len(b))
		}
		switch value := b[:n]; {
		case code == optionName:
			name = string(value[:min(n, maxName)])
		case code == optionResolution && n == 1:
			if d.units = perSecond(value[0]); d.units == 0 {
				return damage(at, "stamps of resolution %#02x", value[0])
			}
		case code == optionOffset && n == 8:
			if d.offset = g.int64(value); d.offset != int64(int32(d.offset)) {
				return damage(at, "stamps with an offset of %d s", d.offset)
			}
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	i := Interface{ID: len(g.section), Name: name, Link: d.link}
	index, known := g.index[i]
	if !known {
		if g.index == nil {
			g.index = map[Interface]int{}
		}
		index = len(g.all)
		g.index[i] = index
		i.Snaplen = int(d.snaplen)
		g.all = append(g.all, i)
	}
	d.index = index
	g.section = append(g.section, d)
	return nil
}

// int64 reads a signed number.
func (o order) int64(b []byte) int64 {
	if o.big {
		return int64(binary.BigEndian.Uint64(b))
	}
	return int64(binary.LittleEndian.Uint64(b))
}

// perSecond is how many units a second has at an if_tsresol: a power of ten, or
// of two where the highest bit is set. It is 0 where that is beyond 64 bits.
func perSecond(resolution byte) uint64 {
	exponent := resolution & 0x7f
	if resolution != exponent {
		return 1 << exponent
	}
	if exponent > 19 {
		return 0
	}
	units := uint64(1)
	for range exponent {
		units *= 10
	}
	return units
}

// maxSeconds is in the year 2242: what a stamp may be, so that times are never
// beyond 64 bits of nanoseconds.
const maxSeconds = 1 << 33

// time is a stamp's, or false if it is beyond reason.
func (d *described) time(stamp uint64) (time.Time, bool) {
	var sec, nsec uint64
	switch d.units { // dividing by a constant is faster
	case 1e9:
		sec, nsec = stamp/1e9, stamp%1e9
	case 1e6:
		sec, nsec = stamp/1e6, stamp%1e6*1e3
	default:
		sec = stamp / d.units
		hi, lo := bits.Mul64(stamp%d.units, 1e9)
		nsec, _ = bits.Div64(hi, lo, d.units)
	}
	if sec >= 2*maxSeconds {
		return time.Time{}, false
	}
	s := int64(sec) + d.offset
	return time.Unix(s, int64(nsec)), uint64(s) < maxSeconds
}

// packet reads a packet block, enhanced or obsolete: they differ in the field
// that says which interface.
func (g *pcapng) packet(at int64, kind uint32, b []byte, p *Packet) error {
	if len(b) < 20 {
		return damage(at, "a packet block of %d bytes", len(b)+12)
	}
	id := g.uint32(b)
	if kind == blockOldPacket {
		id = uint32(g.uint16(b))
	}
	if uint64(id) >= uint64(len(g.section)) {
		return damage(at, "a packet of interface %d, where %d are described", id, len(g.section))
	}
	size := g.uint32(b[12:])
	if uint64(size) > uint64(len(b)-20) || size > MaxPacket {
		return damage(at, "a packet of %d bytes in a block of %d", size, len(b)+12)
	}
	d := &g.section[id]
	var ok bool
	if p.Time, ok = d.time(uint64(g.uint32(b[4:]))<<32 | uint64(g.uint32(b[8:]))); !ok {
		return damage(at, "a packet of a time before 1970 or after 2241")
	}
	end := 20 + int(size)
	p.Data = b[20:end:end]
	p.Length = int(g.uint32(b[16:]))
	p.Interface = d.index
	p.Link = d.link
	return nil
}

// simple reads a simple packet block, which has no time and belongs to the first
// interface.
func (g *pcapng) simple(at int64, b []byte, p *Packet) error {
	if len(b) < 4 {
		return damage(at, "a packet block of %d bytes", len(b)+12)
	}
	if len(g.section) == 0 {
		return damage(at, "a packet of interface 0, where none is described")
	}
	d := &g.section[0]
	length := g.uint32(b)
	size := min(length, uint32(len(b)-4))
	if d.snaplen != 0 {
		size = min(size, d.snaplen)
	}
	if size > MaxPacket {
		return damage(at, "a packet of %d bytes: more than %d", size, MaxPacket)
	}
	*p = Packet{Data: b[4 : 4+size : 4+size], Length: int(length), Interface: d.index, Link: d.link}
	return nil
}

func (g *pcapng) interfaces() []Interface { return g.all }

func (*pcapng) String() string { return "pcapng" }
