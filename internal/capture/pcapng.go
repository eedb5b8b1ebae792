package capture

import (
	"errors"
	"fmt"
	"os"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Writer writes packets to a pcapng file with nanosecond stamps.
type Writer struct {
	file *os.File
	ng   *pcapgo.NgWriter
}

// Create begins a file of Ethernet frames captured on one interface, replacing
// what was there. application names the program in the file.
func Create(name, iface, application string) (*Writer, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err // names the file
	}
	ng, err := pcapgo.NewNgWriterInterface(f, pcapgo.NgInterface{
		Name:                iface,
		LinkType:            layers.LinkTypeEthernet,
		TimestampResolution: 9,
	}, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: application}})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", name, err), f.Close())
	}
	return &Writer{f, ng}, nil
}

// Write adds a packet. Errors name the file.
func (w *Writer) Write(p Packet) error {
	return w.ng.WritePacket(gopacket.CaptureInfo{
		Timestamp: p.Time, CaptureLength: len(p.Data), Length: p.Length,
	}, p.Data)
}

// Flush makes the file complete as far as it goes, for someone who reads it
// while it grows.
func (w *Writer) Flush() error { return w.ng.Flush() }

// Close completes the file.
func (w *Writer) Close() error { return errors.Join(w.Flush(), w.file.Close()) }
