package capture_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"kax/internal/capture"
	"kax/internal/wire"
)

// guard ends a test whose packets never come. It decides nothing else.
const guard = time.Minute

// readAll reads to the end, and returns the error that ends it.
func readAll(t testing.TB, r *capture.Reader) (all []capture.Packet, err error) {
	t.Helper()
	for end := time.Now().Add(guard); time.Now().Before(end); {
		p, ok, err := r.Next(time.Second)
		if err != nil {
			if again, ok, same := r.Next(0); ok || same != err {
				t.Errorf("after %v: %+v, %v", err, again, same)
			}
			return all, err
		}
		if ok {
			all = append(all, p)
		}
	}
	t.Fatal("the input does not end")
	return nil, nil
}

func TestReader(t *testing.T) {
	for name, input := range map[string][]byte{
		"pcapng": pcapngBytes(binary.LittleEndian, written...), "pcap": pcapBytes(binary.LittleEndian, nanoMagic, wire.Ethernet, written...),
	} {
		r := capture.NewReader(bytes.NewReader(input), "x")
		if err := r.Begin(context.Background()); err != nil || r.Name() != "x" {
			t.Errorf("%s: begin of %s: %v", name, r.Name(), err)
		}
		got, err := readAll(t, r)
		if err != io.EOF || len(got) != len(written) {
			t.Fatalf("%s: %d packets, %v", name, len(got), err)
		}
		same(t, got, written)
		if n, err := r.Dropped(); n != 0 || err != nil {
			t.Errorf("%s: dropped %d, %v", name, n, err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Packets come while the input grows, and its header tells that a capture has
// begun.
func TestReaderWhileTheInputGrows(t *testing.T) {
	for name, input := range map[string][]byte{
		"pcapng": pcapngBytes(binary.LittleEndian, written[0]), "pcap": pcapBytes(binary.LittleEndian, nanoMagic, wire.Ethernet, written[0]),
	} {
		out, in := io.Pipe()
		r := capture.NewReader(out, "x")
		waiting, cancel := context.WithCancelCause(context.Background())
		cause := errors.New("enough")
		cancel(cause)
		if err := r.Begin(waiting); !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), "x: no capture has begun: ") {
			t.Errorf("%s: begin without a header: %v", name, err)
		}
		if _, ok, err := r.Next(time.Millisecond); ok || err != nil {
			t.Errorf("%s: a packet without a header: %v, %v", name, ok, err)
		}
		last := len(input) - 10 // within the packet
		if _, err := in.Write(input[:last]); err != nil {
			t.Fatal(err)
		}
		if err := r.Begin(context.Background()); err != nil {
			t.Errorf("%s: begin: %v", name, err)
		}
		if _, ok, err := r.Next(time.Millisecond); ok || err != nil {
			t.Errorf("%s: a packet that is not complete: %v, %v", name, ok, err)
		}
		if _, err := in.Write(input[last:]); err != nil {
			t.Fatal(err)
		}
		if p, ok, err := r.Next(guard); !ok || err != nil || !bytes.Equal(p.Data, written[0].Data) {
			t.Errorf("%s: %+v, %v, %v", name, p, ok, err)
		}
		in.Close()
		if _, err := readAll(t, r); err != io.EOF {
			t.Errorf("%s: %v, want the end", name, err)
		}
	}
}

// Whatever cannot be read says which input it was, and why, at the beginning
// where that is known then.
func TestReaderErrors(t *testing.T) {
	le := binary.LittleEndian
	pcap := pcapBytes(le, nanoMagic, wire.Ethernet, written...)
	n := ng{le}
	for name, test := range map[string]struct {
		input   []byte
		packets int
		refused bool
		want    string
		is      error
	}{
		"nothing":    {nil, 0, true, "x: it is empty: ", io.ErrUnexpectedEOF},
		"text":       {[]byte("GET / HTTP/1.1\r\n"), 0, true, "x: neither pcap nor pcapng", nil},
		"a USB pcap": {pcapBytes(le, nanoMagic, 220), 0, true, "x: link type 220: ", errors.ErrUnsupported},
		"a cut pcap": {pcap[:len(pcap)-3], 4, false, "x: damaged at byte ", io.ErrUnexpectedEOF},
		"a USB pcapng": {slices.Concat(n.section(), n.iface(1, 0), n.enhanced(0, 0, written[0]), n.iface(220, 0), n.enhanced(1, 0, written[0])),
			1, false, "x: link type 220: ", errors.ErrUnsupported},
	} {
		r := capture.NewReader(bytes.NewReader(test.input), "x")
		refused := r.Begin(context.Background())
		got, err := readAll(t, r)
		if len(got) != test.packets || err == nil || !strings.HasPrefix(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%s: %d packets, %v; want %d and %s…", name, len(got), err, test.packets, test.want)
		}
		if test.refused != (refused != nil) || refused != nil && refused.Error() != err.Error() {
			t.Errorf("%s: begin: %v", name, refused)
		}
	}
}

// The names that the input has for interfaces are there with their packets.
func TestReaderInterfaceNames(t *testing.T) {
	n := ng{binary.BigEndian}
	r := capture.NewReader(bytes.NewReader(slices.Concat(
		n.section(), n.iface(wire.Ethernet, 0, n.option(2, "eth0")), n.iface(wire.Raw, 0, n.option(2, "tun0")),
		n.enhanced(1, 0, written[0]), n.enhanced(0, 0, written[0]))), "x")
	got, err := readAll(t, r)
	if err != io.EOF || len(got) != 2 {
		t.Fatalf("%d packets, %v", len(got), err)
	}
	for i, want := range []string{"tun0", "eth0"} {
		if name := r.InterfaceName(got[i].Interface); name != want {
			t.Errorf("packet %d on %q, want %q", i+1, name, want)
		}
	}
	if name := r.InterfaceName(2) + r.InterfaceName(-1); name != "" {
		t.Errorf("an interface that is not there: %q", name)
	}
}
