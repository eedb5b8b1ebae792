package capture

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"kax/internal/wire"
)

// Reader is the output of another capture program, as of tcpdump -U -w -, while
// it is written.
type Reader struct {
	name    string
	begun   chan struct{} // closed when the file header has been read, or refused
	refused error
	packets chan Packet
	err     error // why packets is closed
}

// pending is how many packets are read ahead of whoever takes them.
const pending = 1024

// NewReader reads pcap or pcapng, whichever it is, in the background. Errors
// bear the name of the input.
func NewReader(r io.Reader, name string) *Reader {
	out := &Reader{name: name, begun: make(chan struct{}), packets: make(chan Packet, pending)}
	go func() {
		defer close(out.packets)
		from, err := open(r)
		if err != nil {
			out.refused = fmt.Errorf("%s: %w", name, err)
			out.err = out.refused
		}
		close(out.begun)
		if err == nil {
			out.err = out.read(from)
		}
	}()
	return out
}

// Name is the input's.
func (r *Reader) Name() string { return r.name }

// Begin waits until the other program captures, as it does when it has written
// the file header. What is no capture of Ethernet frames is an error.
func (r *Reader) Begin(ctx context.Context) error {
	select {
	case <-r.begun:
		return r.refused
	case <-ctx.Done():
		return fmt.Errorf("%s: no capture has begun: %w", r.name, context.Cause(ctx))
	}
}

// The first four bytes of what can be read, as a little-endian number. A section
// header block's are the same in either byte order (draft-ietf-opsawg-pcapng,
// section 4.1); a pcap file's tell its order and the unit of its stamps
// (draft-ietf-opsawg-pcap, section 4).
const (
	pcapngMagic  = 0x0a0d0d0a
	pcapMicro    = 0xa1b2c3d4
	pcapMicroBig = 0xd4c3b2a1
	pcapNano     = 0xa1b23c4d
	pcapNanoBig  = 0x4d3cb2a1
)

// open reads the file header.
func open(r io.Reader) (gopacket.PacketDataSource, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	start, err := in.Peek(4)
	if err != nil {
		return nil, fmt.Errorf("read the file header: %w", noEOF(err))
	}
	var from interface {
		gopacket.PacketDataSource
		LinkType() layers.LinkType
	}
	switch binary.LittleEndian.Uint32(start) {
	case pcapngMagic:
		from, err = pcapgo.NewNgReader(in, pcapgo.DefaultNgReaderOptions)
	case pcapMicro, pcapMicroBig, pcapNano, pcapNanoBig:
		from, err = pcapgo.NewReader(in)
	default:
		return nil, errors.New("neither pcap nor pcapng")
	}
	if err != nil {
		return nil, fmt.Errorf("read the file header: %w", noEOF(err))
	}
	if link := from.LinkType(); link != layers.LinkTypeEthernet {
		return nil, fmt.Errorf("link type %d (%v): %w: capture on one Ethernet interface, or on lo", link, link, errors.ErrUnsupported)
	}
	return from, nil
}

// read hands on every packet until the input ends, and returns io.EOF if that is
// between two packets.
func (r *Reader) read(from gopacket.PacketDataSource) error {
	for n := 0; ; n++ {
		data, info, err := from.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		if err != nil {
			return fmt.Errorf("%s, after packet %d: %w", r.name, n, err)
		}
		r.packets <- Packet{Time: info.Timestamp, Data: slices.Clone(data), Length: info.Length, Interface: info.InterfaceIndex, Link: wire.Ethernet}
	}
}

// noEOF makes an end in the middle of something an error.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Next returns the next packet. Its data stays the caller's.
func (r *Reader) Next(wait time.Duration) (Packet, bool, error) {
	select {
	case p, ok := <-r.packets:
		return r.got(p, ok)
	default:
	}
	if wait <= 0 {
		return Packet{}, false, nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case p, ok := <-r.packets:
		return r.got(p, ok)
	case <-timer.C:
		return Packet{}, false, nil
	}
}

func (r *Reader) got(p Packet, ok bool) (Packet, bool, error) {
	if !ok {
		return Packet{}, false, r.err
	}
	return p, true, nil
}

// Dropped is not to be known: the other program counts its own.
func (*Reader) Dropped() (int, error) { return 0, nil }

// Close leaves the input to whoever opened it.
func (*Reader) Close() error { return nil }
