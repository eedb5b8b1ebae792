package capture_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"kax/internal/capture"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// guard ends a test whose packets never come. It decides nothing else.
const guard = time.Minute

// pcapngOf and pcapOf are files of these packets.
func pcapngOf(t testing.TB, packets ...capture.Packet) []byte {
	t.Helper()
	name := t.TempDir() + "/test.pcapng"
	w, err := capture.Create(name, "lo", "kax test")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pcapOf(t testing.TB, link layers.LinkType, packets ...capture.Packet) []byte {
	t.Helper()
	var out bytes.Buffer
	w := pcapgo.NewWriterNanos(&out)
	if err := w.WriteFileHeader(1<<18, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: len(p.Data), Length: p.Length}, p.Data); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

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
		"pcapng": pcapngOf(t, written...), "pcap": pcapOf(t, layers.LinkTypeEthernet, written...),
	} {
		r := capture.NewReader(bytes.NewReader(input), "x")
		if err := r.Begin(context.Background()); err != nil || r.Name() != "x" {
			t.Errorf("%s: begin of %s: %v", name, r.Name(), err)
		}
		got, err := readAll(t, r)
		if err != io.EOF || len(got) != len(written) {
			t.Fatalf("%s: %d packets, %v", name, len(got), err)
		}
		for i, p := range got {
			if w := written[i]; !bytes.Equal(p.Data, w.Data) || !p.Time.Equal(w.Time) || p.Length != w.Length || p.Interface != 0 {
				t.Errorf("%s: packet %d: %+v, want %+v", name, i, p, w)
			}
		}
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
		"pcapng": pcapngOf(t, written[0]), "pcap": pcapOf(t, layers.LinkTypeEthernet, written[0]),
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

// Whatever cannot be read says which input it was, and why.
func TestReaderErrors(t *testing.T) {
	ng, pcap := pcapngOf(t, written...), pcapOf(t, layers.LinkTypeEthernet, written...)
	huge := bytes.Clone(pcap)
	binary.LittleEndian.PutUint32(huge[24+8:], 1<<31) // caplen
	binary.LittleEndian.PutUint32(huge[24+12:], 1<<31)
	for name, test := range map[string]struct {
		input   []byte
		packets int
		want    string
		is      error
	}{
		"nothing":           {nil, 0, "x: read the file header: ", io.ErrUnexpectedEOF},
		"two bytes":         {ng[:2], 0, "x: read the file header: ", io.ErrUnexpectedEOF},
		"a piece of pcapng": {ng[:20], 0, "x: read the file header: ", io.ErrUnexpectedEOF},
		"a piece of pcap":   {pcap[:20], 0, "x: read the file header: ", io.ErrUnexpectedEOF},
		"text":              {[]byte("GET / HTTP/1.1\r\n"), 0, "x: neither pcap nor pcapng", nil},
		"raw IP":            {pcapOf(t, layers.LinkTypeRaw), 0, "x: link type 101 ", errors.ErrUnsupported},
		"cooked":            {pcapOf(t, layers.LinkTypeLinuxSLL), 0, "x: link type 113 ", errors.ErrUnsupported},
		"a cut pcapng":      {ng[:len(ng)-3], 4, "x, after packet 4: ", io.ErrUnexpectedEOF},
		"a cut pcap":        {pcap[:len(pcap)-3], 4, "x, after packet 4: ", io.ErrUnexpectedEOF},
		"a huge packet":     {huge, 0, "x, after packet 0: ", nil},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := capture.NewReader(bytes.NewReader(test.input), "x")
		refused := r.Begin(context.Background())
		got, err := readAll(t, r)
		runtime.ReadMemStats(&after)
		if len(got) != test.packets || err == nil || !strings.HasPrefix(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%s: %d packets, %v; want %d and %s…", name, len(got), err, test.packets, test.want)
		}
		if header := !strings.HasPrefix(test.want, "x, after"); header != (refused != nil) || header && refused.Error() != err.Error() {
			t.Errorf("%s: begin: %v", name, refused)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Errorf("%s: %d bytes of memory for %d of input", name, used, len(test.input))
		}
	}
}

// FuzzReader: no input makes it panic, take memory beyond reason or lose its
// name, and every packet that comes is whole. The seeds, in testdata, are small
// files of either format, whole and cut.
func FuzzReader(f *testing.F) {
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 1<<16 {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := capture.NewReader(bytes.NewReader(input), "x")
		n, size := 0, 0
		for {
			p, ok, err := r.Next(guard)
			if err != nil {
				if err != io.EOF && !strings.HasPrefix(err.Error(), "x") {
					t.Errorf("an error without the input's name: %v", err)
				}
				break
			}
			if !ok {
				t.Fatal("the input does not end")
			}
			n++
			size += len(p.Data)
		}
		if size > len(input) {
			t.Errorf("%d bytes in %d packets, of %d", size, n, len(input))
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Errorf("%d bytes of memory for %d of input", used, len(input))
		}
	})
}
