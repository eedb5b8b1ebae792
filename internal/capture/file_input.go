package capture

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// BufferSize is what a [File] reads into: it has room for the longest packet with
// its header and options, and for what may lie before it.
const BufferSize = 2 * MaxPacket

// readSize is what one read(2) asks for, where a packet does not need more. What it
// brings is still in the processor's cache when it is parsed.
const readSize = 1 << 17

// An input is what has been read of a stream and is not used up. Records are
// parsed where they lie; what is left of one when the buffer ends is moved to its
// front.
type input struct {
	r          io.Reader
	buf        []byte
	start, end int   // what is not used up
	base       int64 // where in the stream buf begins
	err        error // why there is nothing to read after end
	pieces     func() []byte
}

// offset is that of the next byte in the stream.
func (in *input) offset() int64 { return in.base + int64(in.start) }

// peek returns what is there, n bytes at least, or fewer and an error.
func (in *input) peek(n int) ([]byte, error) {
	if b := in.buf[in.start:in.end]; len(b) >= n {
		return b, nil
	}
	return in.fill(n)
}

// fill reads until there are n bytes, and no longer. A piece is filled up before
// the next is asked for; a buffer of its own is used from its front again, which
// the cache has.
func (in *input) fill(n int) ([]byte, error) {
	if in.pieces == nil || in.start+n > len(in.buf) {
		rest := in.buf[in.start:in.end]
		if in.pieces != nil {
			in.buf = in.pieces()
		}
		in.end = copy(in.buf, rest)
		in.base += int64(in.start)
		in.start = 0
	}
	for empty := 0; in.end-in.start < n; {
		if in.err != nil {
			return in.buf[in.start:in.end], in.err
		}
		var got int
		got, in.err = in.r.Read(in.buf[in.end:max(in.start+n, min(in.end+readSize, len(in.buf)))])
		in.end += got
		if got > 0 {
			empty = 0
		} else if empty++; empty > 100 && in.err == nil { // as bufio.Reader has it
			in.err = &readError{io.ErrNoProgress}
		}
	}
	return in.buf[in.start:in.end], nil
}

// skip uses up n bytes without keeping them.
func (in *input) skip(n int64) error {
	for n > int64(in.end-in.start) {
		n -= int64(in.end - in.start)
		in.start = in.end
		if _, err := in.fill(1); err != nil {
			return err
		}
	}
	in.start += int(n)
	return nil
}

// cut is the error for a piece of the file that begins at an offset and of which
// only some bytes are there, because of err.
func cut(at int64, what string, got, want int, err error) error {
	if errors.Is(err, io.EOF) {
		return damage(at, "%s has %d bytes, and %d are there: %w", what, want, got, io.ErrUnexpectedEOF)
	}
	return &DamageError{Offset: at, Err: err}
}

// counted counts what is read, and marks errors as the input's own.
type counted struct {
	r io.Reader
	n atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		err = &readError{err}
	}
	return n, err
}

// A readError is no damage of the file.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// unzipped says of errors that they came up while decompressing.
type unzipped struct{ z *gzip.Reader }

func (u unzipped) Read(b []byte) (int, error) {
	n, err := u.z.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = unzipError(err)
	}
	return n, err
}

func unzipError(err error) error { return fmt.Errorf("decompress: %w", err) }
