package capture

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"kax/internal/wire"
)

// MaxPacket is the most bytes of a packet that a file may hold: libpcap's
// MAXIMUM_SNAPLEN and Wireshark's WTAP_MAX_PACKET_SIZE_STANDARD. A record that
// says more is damaged.
const MaxPacket = 1 << 18

// File reads packets from pcap (draft-ietf-opsawg-pcap) or pcapng
// (draft-ietf-opsawg-pcapng), plain or compressed by gzip, while it is written or
// afterwards. It takes half a MiB of memory, whatever the input says.
type File struct {
	name       string
	from       *counted
	compressed bool
	in         input
	format     format
	packets    int
	err        error // what ended it
}

// A format takes the next packet from an input. At a clean end the error is
// io.EOF; for damage it is a *DamageError with its offset.
type format interface {
	next(in *input, p *Packet) error
	interfaces() []Interface
	String() string
}

// An Interface is one that packets of a file were captured on.
type Interface struct {
	ID      int    // its number within its section of the file, from 0
	Name    string // as the file has it, cut to 255 bytes: not to be trusted; may be empty
	Link    wire.Link
	Snaplen int // bytes of a packet that were kept at most; 0 for all of them
}

// A DamageError says where a file cannot be read any further. It wraps
// io.ErrUnexpectedEOF where the file has been cut short.
type DamageError struct {
	Name       string // of the file
	Offset     int64  // in bytes, of the header, record or block that cannot be read
	Compressed bool   // Offset is in the uncompressed stream
	Packets    int    // read before
	Err        error
}

func (e *DamageError) Error() string {
	stream := ""
	if e.Compressed {
		stream = " of the uncompressed stream"
	}
	return fmt.Sprintf("%s: damaged at byte %d%s, after %d packets: %v", e.Name, e.Offset, stream, e.Packets, e.Err)
}

func (e *DamageError) Unwrap() error { return e.Err }

func damage(at int64, text string, args ...any) error {
	return &DamageError{Offset: at, Err: fmt.Errorf(text, args...)}
}

// The first four bytes of what can be read, as a little-endian number. A section
// header block's are the same in either byte order (draft-ietf-opsawg-pcapng,
// section 4.1); a pcap file's tell its order and the unit of its stamps
// (draft-ietf-opsawg-pcap, section 4). The modified form, by Alexey Kuznetzov,
// has longer record headers.
const (
	pcapngMagic     = 0x0a0d0d0a
	pcapMicro       = 0xa1b2c3d4
	pcapMicroBig    = 0xd4c3b2a1
	pcapNano        = 0xa1b23c4d
	pcapNanoBig     = 0x4d3cb2a1
	pcapModified    = 0xa1b2cd34
	pcapModifiedBig = 0x34cdb2a1
	gzipMagic       = 0x8b1f // the first two bytes (RFC 1952, section 2.3.1)
)

// NewFile reads the file header, and waits for it where r is a pipe. Errors bear
// the name of the input.
func NewFile(r io.Reader, name string) (*File, error) {
	f := &File{name: name, from: &counted{r: r}}
	f.in = input{r: f.from, buf: make([]byte, BufferSize)}
	if err := f.open(); err != nil {
		return nil, f.explain(err)
	}
	return f, nil
}

func (f *File) open() error {
	start, err := f.in.peek(2)
	if err == nil && binary.LittleEndian.Uint16(start) == gzipMagic {
		if err := f.decompress(start); err != nil {
			return err
		}
	}
	const what = "the file header"
	if start, err = f.in.peek(4); err != nil {
		if errors.Is(err, io.EOF) && len(start) == 0 {
			return fmt.Errorf("it is empty: %w", io.ErrUnexpectedEOF)
		}
		return cut(0, what, len(start), pcapFileHeader, err)
	}
	switch magic := binary.LittleEndian.Uint32(start); magic {
	case pcapngMagic:
		ng := &pcapng{}
		f.format = ng
		_, err := ng.block(&f.in, nil)
		return err
	case pcapMicro, pcapMicroBig, pcapNano, pcapNanoBig, pcapModified, pcapModifiedBig:
		if start, err = f.in.peek(pcapFileHeader); err != nil {
			return cut(0, what, len(start), pcapFileHeader, err)
		}
		f.format, err = newPcap(magic, start)
		f.in.start += pcapFileHeader
		return err
	default:
		return errFormat
	}
}

var errFormat = errors.New("neither pcap nor pcapng")

// decompress goes on with what the input is when uncompressed.
func (f *File) decompress(start []byte) error {
	f.compressed = true
	whole := io.MultiReader(bytes.NewReader(bytes.Clone(start)), f.from)
	z, err := gzip.NewReader(bufio.NewReaderSize(whole, 1<<16))
	if err != nil {
		return &DamageError{Err: unzipError(err)}
	}
	f.in.r, f.in.start, f.in.end, f.in.err = unzipped{z}, 0, 0, nil
	return nil
}

// Next reads the next packet into p, whose Data is valid until the next call. It
// waits for no byte beyond the packet's own. At a clean end the error is io.EOF,
// and where the file is damaged a [*DamageError].
func (f *File) Next(p *Packet) error {
	if f.err != nil {
		return f.err
	}
	if err := f.format.next(&f.in, p); err != nil {
		f.err = f.explain(err)
		return f.err
	}
	f.packets++
	return nil
}

// Pieces lets the data of packets stay as they are: when File has used up its
// buffer, it goes on in what next returns, of [BufferSize] bytes, instead of using
// the same again. Packets lie in the buffer that was in use when they were
// returned, from the next one on in that which was returned last.
func (f *File) Pieces(next func() []byte) { f.in.pieces = next }

// explain says which file an error is about.
func (f *File) explain(err error) error {
	if errors.Is(err, io.EOF) {
		return err
	}
	if read := (*readError)(nil); errors.As(err, &read) {
		if path := (*fs.PathError)(nil); errors.As(read.err, &path) {
			read.err = path.Err // it names the file once more
		}
		return fmt.Errorf("read %s: %w", f.name, read.err)
	}
	if damage := (*DamageError)(nil); errors.As(err, &damage) {
		damage.Name, damage.Packets, damage.Compressed = f.name, f.packets, f.compressed
		return damage
	}
	return fmt.Errorf("%s: %w", f.name, err)
}

// Name is the input's.
func (f *File) Name() string { return f.name }

// Format is pcap or pcapng.
func (f *File) Format() string { return f.format.String() }

// Compressed reports whether the input is compressed by gzip.
func (f *File) Compressed() bool { return f.compressed }

// Interfaces are those of the packets read so far; Packet.Interface is the index.
// One that several sections describe with the same ID, name and link type is one.
// A pcap file has one, without a name.
func (f *File) Interfaces() []Interface { return f.format.interfaces() }

// Bytes is how much of the input has been read, compressed where it is. It may be
// called while another goroutine reads packets.
func (f *File) Bytes() int64 { return f.from.n.Load() }
