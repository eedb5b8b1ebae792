package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// Reader is the output of another capture program, as of tcpdump -U -w -, while
// it is written.
type Reader struct {
	name    string
	begun   chan struct{} // closed when the file header has been read, or refused
	refused error
	packets chan Packet
	err     error // why packets is closed

	mu         sync.Mutex
	interfaces []Interface
}

// pending is how many packets are read ahead of whoever takes them.
const pending = 1024

// NewReader reads a capture file in the background. Errors bear the name of the
// input.
func NewReader(r io.Reader, name string) *Reader {
	out := &Reader{name: name, begun: make(chan struct{}), packets: make(chan Packet, pending)}
	go func() {
		f, err := NewFile(r, name)
		if err == nil {
			// A pcapng file may describe its interfaces later.
			for _, i := range f.Interfaces() {
				err = errors.Join(err, out.readable(i))
			}
		}
		if err != nil {
			out.refused, out.err = err, err
			close(out.packets)
			close(out.begun)
			return
		}
		close(out.begun)
		out.err = out.read(f)
		close(out.packets)
	}()
	return out
}

// Name is the input's.
func (r *Reader) Name() string { return r.name }

// Begin waits until the other program captures, as it does when it has written
// the file header. What is no capture, or one whose frames cannot be read, is an
// error.
func (r *Reader) Begin(ctx context.Context) error {
	select {
	case <-r.begun:
		return r.refused
	case <-ctx.Done():
		return fmt.Errorf("%s: no capture has begun: %w", r.name, context.Cause(ctx))
	}
}

// InterfaceName is the name that the input has for the interface of a packet, or
// empty.
func (r *Reader) InterfaceName(index int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if index < 0 || index >= len(r.interfaces) {
		return ""
	}
	return r.interfaces[index].Name
}

func (r *Reader) readable(i Interface) error {
	if i.Link.Known() {
		return nil
	}
	return fmt.Errorf("%s: %v: %w: capture on an Ethernet interface, or on lo", r.name, i.Link, errors.ErrUnsupported)
}

// read hands on every packet until the input ends, and returns io.EOF if that is
// between two packets.
func (r *Reader) read(f *File) error {
	known := 0
	for {
		var p Packet
		if err := f.Next(&p); err != nil {
			return err
		}
		if all := f.Interfaces(); len(all) > known {
			for _, i := range all[known:] {
				if err := r.readable(i); err != nil {
					return err
				}
			}
			known = len(all)
			r.mu.Lock()
			r.interfaces = all // what is in it does not change any more
			r.mu.Unlock()
		}
		p.Data = slices.Clone(p.Data)
		r.packets <- p
	}
}

// Next returns the next packet. Its data stays the caller's.
func (r *Reader) Next(wait time.Duration) (Packet, bool, error) {
	select {
	case p, ok := <-r.packets:
		return r.got(p, ok)
	default:
	}
	if wait <= 0 {
		return Packet{}, false, nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case p, ok := <-r.packets:
		return r.got(p, ok)
	case <-timer.C:
		return Packet{}, false, nil
	}
}

func (r *Reader) got(p Packet, ok bool) (Packet, bool, error) {
	if !ok {
		return Packet{}, false, r.err
	}
	return p, true, nil
}

// Dropped is not to be known: the other program counts its own.
func (*Reader) Dropped() (int, error) { return 0, nil }

// Close leaves the input to whoever opened it.
func (*Reader) Close() error { return nil }
