package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"

	"kax/internal/wire"
)

// Lengths of headers (draft-ietf-opsawg-pcap, sections 4 and 5). A modified
// record header has the interface, the protocol and the packet type as well.
const (
	pcapFileHeader     = 24
	pcapRecordHeader   = 16
	pcapModifiedHeader = 24
)

// order reads the numbers of a file in its byte order.
type order struct{ big bool }

func (o order) uint32(b []byte) uint32 {
	n := binary.LittleEndian.Uint32(b)
	if o.big {
		n = bits.ReverseBytes32(n)
	}
	return n
}

func (o order) uint16(b []byte) uint16 {
	n := binary.LittleEndian.Uint16(b)
	if o.big {
		n = bits.ReverseBytes16(n)
	}
	return n
}

type pcap struct {
	order
	header int   // bytes of a record header
	unit   int64 // nanoseconds of its fraction of a second
	iface  Interface
}

// newPcap reads a file header.
func newPcap(magic uint32, b []byte) (*pcap, error) {
	c := &pcap{header: pcapRecordHeader, unit: int64(time.Microsecond)}
	switch magic {
	case pcapMicroBig, pcapNanoBig, pcapModifiedBig:
		c.big = true
	}
	switch magic {
	case pcapNano, pcapNanoBig:
		c.unit = int64(time.Nanosecond)
	case pcapModified, pcapModifiedBig:
		c.header = pcapModifiedHeader
	}
	if major, minor := c.uint16(b[4:]), c.uint16(b[6:]); major != 2 {
		return nil, fmt.Errorf("pcap version %d.%d: %w", major, minor, errors.ErrUnsupported)
	}
	// The upper bits are the length of a checksum behind each packet, which no
	// IP packet counts as its own.
	link := c.uint32(b[20:]) & 0x03ffffff
	if link > 0xffff {
		return nil, fmt.Errorf("link type %d: %w", link, errors.ErrUnsupported)
	}
	c.iface = Interface{Link: wire.Link(link), Snaplen: int(c.uint32(b[16:]))}
	return c, nil
}

func (c *pcap) next(in *input, p *Packet) error {
	b, err := in.peek(c.header)
	if err != nil {
		if errors.Is(err, io.EOF) && len(b) == 0 {
			return io.EOF
		}
		return cut(in.offset(), "a record header", len(b), c.header, err)
	}
	size := c.uint32(b[8:])
	if size > MaxPacket {
		return damage(in.offset(), "a packet of %d bytes: more than %d", size, MaxPacket)
	}
	end := c.header + int(size)
	if len(b) < end {
		if b, err = in.fill(end); err != nil {
			return cut(in.offset(), "a record", len(b), end, err)
		}
	}
	p.Time = time.Unix(int64(c.uint32(b)), int64(c.uint32(b[4:]))*c.unit)
	p.Data = b[c.header:end:end]
	p.Length = int(c.uint32(b[12:]))
	p.Interface = 0
	p.Link = c.iface.Link
	in.start += end
	return nil
}

func (c *pcap) interfaces() []Interface { return []Interface{c.iface} }

func (*pcap) String() string { return "pcap" }
