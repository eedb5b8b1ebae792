package capture

import (
	"bufio"
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"kax/internal/wire"
)

// File is a stopgap.
type File struct {
	ng *pcapgo.NgReader
	r  *pcapgo.Reader
}

func NewFile(r io.Reader, name string) (*File, error) {
	in := bufio.NewReaderSize(r, 1<<20)
	b, err := in.Peek(4)
	if err != nil {
		return nil, err
	}
	f := &File{}
	if b[0] == 0x0a {
		f.ng, err = pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	} else {
		f.r, err = pcapgo.NewReader(in)
	}
	return f, err
}

func (f *File) Next(p *Packet) error {
	var data []byte
	var ci gopacket.CaptureInfo
	var err error
	link := layers.LinkTypeEthernet
	if f.ng != nil {
		data, ci, err = f.ng.ZeroCopyReadPacketData()
		if len(ci.AncillaryData) > 0 {
			link = ci.AncillaryData[0].(layers.LinkType)
		}
	} else {
		data, ci, err = f.r.ZeroCopyReadPacketData()
		link = f.r.LinkType()
	}
	*p = Packet{Time: ci.Timestamp, Data: data, Length: ci.Length, Link: wire.Link(link), Interface: ci.InterfaceIndex}
	return err
}
