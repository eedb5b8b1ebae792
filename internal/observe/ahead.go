package observe

import (
	"io"
	"runtime"
	"slices"
	"time"

	"kax/internal/capture"
	"kax/internal/timeline"
	"kax/internal/wire"
)

// A batch is a piece of a file, and the segments in it, decoded ahead of the
// tracker. Only these go from one processor to the other: of the piece, which
// their payloads share, the tracker looks at the heads of messages.
type batch struct {
	piece    []byte
	segments []numbered
	heads    timeline.Heads // of some of them
	packets  int            // of the file, this batch's last one included
	err      error          // what came after them
}

type numbered struct {
	at      time.Time
	number  int
	segment wire.Segment
	head    *timeline.Head // nil where it was not read
}

// batches are enough for one to be filled, one to be tracked, and some between:
// waking the other processor takes as long as tracking hundreds of packets.
const batches = 4

// batchSegments is more than a piece of a pcap file holds of Ethernet frames.
const batchSegments = 8192

// ballastSize lets the garbage collector, which takes a processor from those two,
// come later: after as much again as there is in use, and this counts. Nobody
// touches it, so it is not resident.
const ballastSize = 8 << 20

// Read takes up to limit packets of a file, or all of them with 0, as Packet does
// one by one, but decodes them on another processor, unless records are to bear
// their bytes. It returns io.EOF at the end or the limit, the file's error, or what
// each does, which is called now and then.
func (o *Observer) Read(f *capture.File, limit int, each func() error) error {
	if o.Frames {
		return o.read(f, limit, each)
	}
	ready, free := make(chan *batch, batches), make(chan *batch, batches)
	for range batches {
		free <- &batch{piece: make([]byte, capture.BufferSize), segments: make([]numbered, 0, batchSegments)}
	}
	ballast := make([]byte, ballastSize)
	defer runtime.KeepAlive(ballast)
	go o.decode(f, limit, ready, free)
	for b := range ready {
		o.track(b)
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

func (o *Observer) track(b *batch) {
	for i := range b.segments {
		s := &b.segments[i]
		o.number, o.head = s.number, s.head
		o.take(s.at, &s.segment)
	}
	o.number = b.packets
}

// read does without the other processor.
func (o *Observer) read(f *capture.File, limit int, each func() error) error {
	var p capture.Packet
	for {
		if err := f.Next(&p); err != nil {
			return err
		}
		o.Packet(&p)
		if o.number == limit {
			return io.EOF
		}
		if o.number%1024 == 0 {
			if err := each(); err != nil {
				return err
			}
		}
	}
}

// decode fills batches until the file ends, or nobody wants more.
func (o *Observer) decode(f *capture.File, limit int, ready chan<- *batch, free <-chan *batch) {
	defer close(ready)
	b, number, stopped := <-free, 0, false
	heads := false // are read too, while the tracker has more to do than this
	handed := 0    // the number of the last packet of the batch before
	f.Pieces(func() []byte {
		if number == handed {
			return b.piece
		}
		handed, b.packets = number, number
		ready <- b
		next, wanted := <-free
		if stopped = !wanted; stopped {
			next = &batch{piece: make([]byte, capture.BufferSize)}
		}
		b = next
		b.segments = b.segments[:0]
		b.heads.Reset()
		heads = o.NoEvents && len(ready) > 1
		return b.piece
	})
	var p capture.Packet
	for b.err == nil {
		if b.err = f.Next(&p); stopped {
			return
		}
		if b.err == nil {
			number++
			o.add(b, number, &p, heads)
			if number == limit {
				b.err = io.EOF
			}
		}
	}
	b.packets = number
	ready <- b
}

// add decodes a packet, if it holds a segment that is wanted.
func (o *Observer) add(b *batch, number int, p *capture.Packet, heads bool) {
	n := len(b.segments)
	b.segments = slices.Grow(b.segments, 1)[:n+1]
	s := &b.segments[n]
	err := o.decoder.Decode(p.Link, p.Data, &s.segment)
	if !o.wants(number, p, &s.segment, err) {
		b.segments = b.segments[:n]
		return
	}
	s.at, s.number, s.head = p.Time, number, nil
	if heads {
		s.head = b.heads.Read(s.segment.Payload)
	}
}
