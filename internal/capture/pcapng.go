package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"os"

	"kax/internal/wire"
)

// Writer writes packets to a pcapng file with nanosecond stamps: one section, in
// which each interface is described before its first packet.
type Writer struct {
	file       *os.File
	out        *bufio.Writer
	name       func(index int) string
	interfaces map[on]uint32 // their numbers in the file
	block      []byte        // the header of a packet's, or all of another block
}

// on is what makes an interface of its own: one has one link type in a file.
type on struct {
	index int
	link  wire.Link
}

// Create begins a file, replacing what was there. application names the program
// in it, and iface an interface by its Packet.Interface: it is asked once for
// each, and may return nothing.
func Create(name, application string, iface func(index int) string) (*Writer, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err // names the file
	}
	w := &Writer{file: f, out: bufio.NewWriterSize(f, 1<<16), name: iface, interfaces: map[on]uint32{}}
	// Version 1.0, and a length of the section that is not known before its end.
	b := binary.LittleEndian.AppendUint32(w.begin(blockSection), orderMagic)
	b = append(b, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	if err := w.end(option(b, optionUserAppl, application)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

// Write adds a packet. Errors name the file.
func (w *Writer) Write(p Packet) error {
	at := on{p.Interface, p.Link}
	id, ok := w.interfaces[at]
	if !ok {
		id = uint32(len(w.interfaces))
		w.interfaces[at] = id
		if err := w.describe(at); err != nil {
			return err
		}
	}
	stamp := uint64(p.Time.UnixNano())
	padding := -len(p.Data) & 3
	le := binary.LittleEndian
	size := uint32(28 + len(p.Data) + padding + 4)
	b := le.AppendUint32(w.begin(blockPacket), id)
	b = le.AppendUint32(b, uint32(stamp>>32))
	b = le.AppendUint32(b, uint32(stamp))
	b = le.AppendUint32(b, uint32(len(p.Data)))
	b = le.AppendUint32(b, uint32(p.Length))
	le.PutUint32(b[4:], size)
	w.block = le.AppendUint32(append(b, 0, 0, 0)[:28+padding], size)
	_, err := w.out.Write(w.block[:28])
	if err == nil {
		_, err = w.out.Write(p.Data)
	}
	if err == nil {
		_, err = w.out.Write(w.block[28:])
	}
	return err
}

// describe adds an interface.
func (w *Writer) describe(at on) error {
	b := binary.LittleEndian.AppendUint16(w.begin(blockInterface), uint16(at.link))
	b = append(b, 0, 0, 0, 0, 0, 0) // packets of any length
	if name := w.name(at.index); name != "" {
		b = option(b, optionName, name)
	}
	return w.end(option(b, optionResolution, "\x09"))
}

// begin begins a block, whose length end fills in.
func (w *Writer) begin(kind uint32) []byte {
	return append(binary.LittleEndian.AppendUint32(w.block[:0], kind), 0, 0, 0, 0)
}

// end adds the end of options, completes the block and writes it.
func (w *Writer) end(b []byte) error {
	b = append(b, optionEnd, 0, 0, 0)
	size := uint32(len(b) + 4)
	binary.LittleEndian.PutUint32(b[4:], size)
	w.block = binary.LittleEndian.AppendUint32(b, size)
	_, err := w.out.Write(w.block)
	return err
}

// option adds one to a block, padded to 32 bits.
func option(b []byte, code uint16, value string) []byte {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	return append(b, 0, 0, 0)[:len(b)+(-len(value)&3)]
}

// Flush makes the file complete as far as it goes, for someone who reads it
// while it grows.
func (w *Writer) Flush() error { return w.out.Flush() }

// Close completes the file.
func (w *Writer) Close() error { return errors.Join(w.Flush(), w.file.Close()) }
