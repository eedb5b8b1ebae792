package observe

import "kax/internal/capture"

// ReadHeads takes all packets of a file, and reads every second head ahead.
func (o *Observer) ReadHeads(f *capture.File) error {
	f.Pieces(func() []byte { return make([]byte, capture.BufferSize) })
	var b batch
	var p capture.Packet
	for b.err == nil {
		b.segments = b.segments[:0]
		b.heads.Reset()
		for range 1000 {
			if b.err = f.Next(&p); b.err != nil {
				break
			}
			b.packets++
			o.add(&b, b.packets, &p, b.packets%2 == 0)
		}
		o.track(&b)
	}
	return b.err
}
