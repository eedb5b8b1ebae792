package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Reader is the output of another capture program, as of tcpdump -U -w -, while
// it is written.
type Reader struct {
	packets chan Packet
	err     error // why packets is closed
}

// pending is how many packets are read ahead of whoever takes them.
const pending = 1024

// NewReader reads pcap or pcapng, whichever it is, in the background. name is
// for errors: each names the input and the packet.
func NewReader(r io.Reader, name string) *Reader {
	out := &Reader{packets: make(chan Packet, pending)}
	go func() {
		defer close(out.packets)
		n := 0
		err := read(r, func(p Packet) {
			n++
			out.packets <- p
		})
		if err == nil {
			out.err = io.EOF
			return
		}
		out.err = fmt.Errorf("%s, after packet %d: %w", name, n, err)
	}()
	return out
}

// pcapngMagic is the type of a section header block, the same in either byte
// order (draft-ietf-opsawg-pcapng, section 4.1).
const pcapngMagic = 0x0a0d0d0a

// read calls take for every packet, until the input ends.
func read(r io.Reader, take func(Packet)) error {
	in := bufio.NewReaderSize(r, 1<<16)
	magic, err := in.Peek(4)
	if err != nil {
		return fmt.Errorf("read the file header: %w", noEOF(err))
	}
	var from gopacket.PacketDataSource
	var link layers.LinkType
	if binary.LittleEndian.Uint32(magic) == pcapngMagic {
		ng, err := pcapgo.NewNgReader(in, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			return fmt.Errorf("read the file header: %w", noEOF(err))
		}
		from, link = ng, ng.LinkType()
	} else {
		classic, err := pcapgo.NewReader(in)
		if err != nil {
			return fmt.Errorf("read the file header: %w", noEOF(err))
		}
		from, link = classic, classic.LinkType()
	}
	if link != layers.LinkTypeEthernet {
		return fmt.Errorf("link type %d (%v): %w: capture on one Ethernet interface, or on lo", link, link, errors.ErrUnsupported)
	}
	for {
		data, info, err := from.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return noEOF(err)
		}
		take(Packet{Time: info.Timestamp, Data: slices.Clone(data), Length: info.Length, Interface: info.InterfaceIndex})
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
