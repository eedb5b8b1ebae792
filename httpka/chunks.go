package httpka

import (
	"fmt"
	"math"
)

// maxChunkLine bounds a chunk's size and extensions, in bytes. What is in
// there is ignored, so only one who plays tricks writes more.
const maxChunkLine = 4 << 10

// chunks reads a body in the chunked coding (RFC 9112 section 7.1), trailers
// included. Lines of chunks end in CRLF and nothing else: recipients differ
// about other ends, which is how requests are smuggled. The trailer section
// is one of fields, and may have bare LFs. Its fields are not looked at.
type chunks struct {
	at    chunkAt
	n     int32 // bytes of the line, or of the trailer section
	left  int64 // of the chunk's data; its size while that is read
	total int64 // sizes so far
}

type chunkAt uint8

const (
	chunkStart chunkAt = iota // before the first digit
	chunkSize
	chunkSpace // after the last digit
	chunkExtension
	chunkLF // after CR
	chunkData
	chunkDataCR // after the data
	chunkDataLF
	trailerStart // before a line
	trailerLine
	trailerCR // after the CR of what may be the empty line
)

// take takes bytes up to the end of the body, and says how many, how many of
// them are data, and whether the body is complete.
func (k *chunks) take(b []byte) (n int, body int64, done bool, err error) {
	for n < len(b) {
		if k.at == chunkData {
			d := min(int64(len(b)-n), k.left)
			k.skip(d)
			n += int(d)
			body += d
			continue
		}
		x := b[n]
		n++
		if done, err = k.next(x); done || err != nil {
			break
		}
	}
	return n, body, done, err
}

// skip passes n bytes of data, if the chunk has as many.
func (k *chunks) skip(n int64) bool {
	if k.at != chunkData || n > k.left {
		return false
	}
	if k.left -= n; k.left == 0 {
		k.at = chunkDataCR
	}
	return true
}

// next takes a byte that is not data.
func (k *chunks) next(x byte) (done bool, err error) {
	if k.at <= chunkLF || k.at >= trailerStart {
		k.n++
	}
	switch k.at {
	case chunkStart, chunkSize:
		if err := k.size(x); err != nil {
			return false, err
		}
	case chunkSpace: // before ";" RFC 9112 section 7.1.1 has optional space, which is bad
		switch x {
		case ';':
			k.at = chunkExtension
		case '\r':
			k.at = chunkLF
		case ' ', '\t':
		default:
			return false, badChunk("size of a chunk")
		}
	case chunkExtension:
		switch x {
		case '\n':
			return false, badChunk("end of a chunk's extensions")
		case '\r':
			k.at = chunkLF
		}
	case chunkLF:
		if x != '\n' {
			return false, badChunk("end of a chunk's size")
		}
		if k.left > math.MaxInt64-k.total { // section 7.1: large numbers must not overflow
			return false, badChunk("size of a chunk")
		}
		k.total += k.left
		k.n = 0
		if k.at = chunkData; k.left == 0 {
			k.at = trailerStart
		}
	case chunkDataCR, chunkDataLF:
		if x != "\r\n"[k.at-chunkDataCR] {
			return false, badChunk("end of a chunk")
		}
		if k.at++; k.at > chunkDataLF {
			k.at = chunkStart
		}
	case trailerStart, trailerCR:
		switch {
		case x == '\n':
			return true, nil
		case k.at == trailerCR: // section 2.2: no CR by itself
			return false, badChunk("trailer section")
		case x == '\r':
			k.at = trailerCR
		default:
			k.at = trailerLine
		}
	case trailerLine:
		if x == '\n' {
			k.at = trailerStart
		}
	}
	switch {
	case k.at < chunkData && k.n > maxChunkLine:
		return false, badChunk("long line before a chunk")
	case k.at >= trailerStart && k.n > maxHead:
		return false, ErrLong
	}
	return false, nil
}

func (k *chunks) size(x byte) error {
	d := int64(0)
	switch {
	case isDigit(x):
		d = int64(x - '0')
	case 'a' <= x && x <= 'f':
		d = int64(x-'a') + 10
	case 'A' <= x && x <= 'F':
		d = int64(x-'A') + 10
	case k.at == chunkStart:
		return badChunk("no size of a chunk")
	default: // the number is over
		k.at = chunkSpace
		k.n-- // and x is not counted twice
		_, err := k.next(x)
		return err
	}
	if k.at == chunkStart {
		k.at, k.left = chunkSize, 0
	}
	if k.left > (math.MaxInt64-d)>>4 {
		return badChunk("size of a chunk")
	}
	k.left = k.left<<4 | d
	return nil
}

func badChunk(what string) error { return fmt.Errorf("%w: %s", ErrFraming, what) }
