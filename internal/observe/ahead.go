package observe

import (
	"time"

	"kax/internal/capture"
	"kax/internal/wire"
)

// A batch is some packets that have been decoded ahead of the tracker.
type batch struct {
	packets  []decoded
	payloads []byte // of them, as the source's memory is used again
	err      error  // what came after them
}

type decoded struct {
	at      time.Time
	link    wire.Link
	err     error
	segment wire.Segment
}

// Batches are as large as a processor's cache allows: waking the other processor
// takes as long as tracking hundreds of packets.
const (
	batches      = 4
	batchPackets = 1024
	batchBytes   = 1 << 19
)

// Read takes the packets of a source that does not have to be waited for, as
// Packet does one by one, but decodes them on another processor. It returns what
// next returned in the end, or what each does, which is called now and then.
func (o *Observer) Read(next func(*capture.Packet) error, each func() error) error {
	ready, free := make(chan *batch, batches), make(chan *batch, batches)
	for range batches {
		free <- &batch{packets: make([]decoded, 0, batchPackets), payloads: make([]byte, 0, batchBytes)}
	}
	go func() {
		defer close(ready)
		for b := range free {
			o.fill(b, next)
			ready <- b
			if b.err != nil {
				return
			}
		}
	}()
	for b := range ready {
		for i := range b.packets {
			d := &b.packets[i]
			o.number++
			o.track(d.at, d.link, &d.segment, d.err)
		}
		err := b.err
		if err == nil {
			err = each()
		}
		if err != nil {
			close(free)
			for range ready { // what was decoded meanwhile
			}
			return err
		}
		free <- b
	}
	return nil
}

// fill decodes as many packets as there is room for. A packet that is larger than
// all of that gets more.
func (o *Observer) fill(b *batch, next func(*capture.Packet) error) {
	b.packets, b.payloads = b.packets[:0], b.payloads[:0]
	var p capture.Packet
	for len(b.packets) < cap(b.packets) && len(b.payloads) < batchBytes {
		if b.err = next(&p); b.err != nil {
			return
		}
		b.packets = b.packets[:len(b.packets)+1]
		d := &b.packets[len(b.packets)-1]
		d.at, d.link = p.Time, p.Link
		d.err = o.decoder.Decode(p.Link, p.Data, &d.segment)
		if data := d.segment.Payload; d.err == nil && len(data) > 0 {
			if room := cap(b.payloads) - len(b.payloads); room < len(data) {
				b.payloads = make([]byte, 0, max(batchBytes, len(data))) // the segments before keep the old one
			}
			from := len(b.payloads)
			b.payloads = append(b.payloads, data...)
			d.segment.Payload = b.payloads[from:]
		}
	}
}
