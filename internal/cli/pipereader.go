package cli

import (
	"context"
	"io"
	"time"
)

// pipeReader reads what another program writes, and can be told to stop while
// it waits for that.
type pipeReader struct {
	ctx    context.Context
	idle   func() error // called before it waits
	pieces chan piece
	free   chan []byte
	now    piece
	rest   []byte // of it
}

type piece struct {
	data []byte
	err  error
}

// farewell is how long after a signal the other program may still write: the
// same ^C tells it to end.
const farewell = 300 * time.Millisecond

func newPipeReader(ctx context.Context, r io.Reader, idle func() error) *pipeReader {
	const buffers = 4
	p := &pipeReader{ctx: ctx, idle: idle, pieces: make(chan piece, buffers), free: make(chan []byte, buffers)}
	for range buffers {
		p.free <- make([]byte, 1<<16)
	}
	go func() {
		for buf := range p.free {
			n, err := r.Read(buf)
			p.pieces <- piece{buf[:n], err}
			if err != nil {
				return
			}
		}
	}()
	return p
}

// Read implements [io.Reader].
func (p *pipeReader) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.now.err != nil {
			return 0, p.now.err
		}
		if p.now.data != nil {
			p.free <- p.now.data[:cap(p.now.data)]
		}
		var err error
		if p.now, err = p.next(); err != nil {
			return 0, err
		}
		p.rest = p.now.data
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *pipeReader) next() (piece, error) {
	select {
	case now := <-p.pieces:
		return now, nil
	default:
	}
	if err := p.idle(); err != nil {
		return piece{}, err
	}
	select {
	case now := <-p.pieces:
		return now, nil
	case <-p.ctx.Done():
	}
	select {
	case now := <-p.pieces:
		return now, nil
	case <-time.After(farewell):
		return piece{}, context.Cause(p.ctx)
	}
}
