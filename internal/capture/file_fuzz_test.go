package capture_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"slices"
	"testing"
	"testing/iotest"

	"kax/internal/capture"
	"kax/internal/wire"
)

func FuzzPcap(f *testing.F) {
	few := slices.Concat(written[:2], written[3:])
	for _, order := range orders {
		for _, magic := range []uint32{microMagic, nanoMagic, modifiedMagic} {
			whole := pcapBytes(order, magic, wire.Ethernet, few...)
			f.Add(whole, uint(len(whole)-3))
			f.Add(whole[:len(whole)-3], uint(30))
		}
	}
	huge := pcapBytes(binary.LittleEndian, nanoMagic, wire.Ethernet, few...)
	binary.LittleEndian.PutUint32(huge[24+8:], 1<<32-1)
	f.Add(huge, uint(24))
	f.Add(zip(f, pcapBytes(binary.LittleEndian, nanoMagic, wire.Raw, few...)), uint(60))
	f.Fuzz(hostile)
}

func FuzzPcapng(f *testing.F) {
	few := slices.Concat(written[:2], written[3:])
	for _, order := range orders {
		n := ng{order}
		whole := pcapngBytes(order, few...)
		f.Add(whole, uint(len(whole)-3))
		f.Add(slices.Concat(
			n.section(n.option(4, "application"), n.option(0, "")),
			n.iface(wire.Ethernet, 5, n.option(2, "eth0"), n.option(9, "\x06"), n.option(14, "12345678"), n.option(0, "")),
			n.iface(wire.Raw, 0, n.option(9, "\x94")),
			n.enhanced(1, 1<<50, few[0], n.option(1, "comment")),
			n.old(0, 1, 1<<50, few[1]), n.simple(few[0]), n.block(0xbad, []byte("what?")),
			n.section(), n.enhanced(0, 0, few[0])), uint(100))
		long := n.block(0xbad, nil)
		order.PutUint32(long[4:], 1<<32-4)
		f.Add(append(n.section(), long...), uint(30))
	}
	f.Add(zip(f, pcapngBytes(binary.BigEndian, few...)), uint(60))
	f.Fuzz(hostile)
}

// hostile: no input makes a file panic, or take memory beyond reason. It gives
// the same packets and the same error however its bytes come; cut anywhere it
// gives those that end before; and packets together are no more than the input.
func hostile(t *testing.T, input []byte, at uint) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, got, err := read(bytes.NewReader(input))
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 2<<20+64*uint64(plain(input)) {
		t.Errorf("%d bytes of memory for %d of input", used, len(input))
	}
	size := 0
	for _, p := range got {
		size += len(p.Data)
		if !p.Time.IsZero() && (p.Time.Year() < 1969 || p.Time.Year() > 2243) {
			t.Errorf("a packet of %v", p.Time)
		}
	}
	if size > plain(input) {
		t.Errorf("%d bytes in %d packets, of %d", size, len(got), len(input))
	}
	if damage := (*capture.DamageError)(nil); errors.As(err, &damage) && (damage.Packets != len(got) || damage.Offset < 0 || damage.Offset > int64(plain(input))) {
		t.Errorf("%d packets: %v", len(got), err)
	}
	// Where each packet ends is where a file of no more than it ends.
	var ends []int64
	slowly, err2 := capture.NewFile(iotest.OneByteReader(bytes.NewReader(input)), "x")
	for err2 == nil {
		var p capture.Packet
		if err2 = slowly.Next(&p); err2 == nil {
			if len(ends) < len(got) {
				same(t, []capture.Packet{p}, got[len(ends):len(ends)+1])
			}
			ends = append(ends, slowly.Bytes())
		}
	}
	if len(ends) != len(got) || err2.Error() != err.Error() {
		t.Errorf("byte by byte %d packets, %v; as a whole %d, %v", len(ends), err2, len(got), err)
	}
	cut := input[:min(at, uint(len(input)))]
	f, some, _ := read(bytes.NewReader(cut))
	same(t, some, got[:min(len(some), len(got))])
	if f == nil || f.Compressed() {
		return
	}
	if want, _ := slices.BinarySearch(ends, int64(len(cut))+1); len(some) != want {
		t.Errorf("cut at %d: %d packets, want %d", len(cut), len(some), want)
	}
}

// plain is how many bytes an input has when it is uncompressed.
func plain(input []byte) int {
	z, err := gzip.NewReader(bytes.NewReader(input))
	if err != nil {
		return len(input)
	}
	n, _ := io.Copy(io.Discard, z)
	return max(int(n), len(input))
}
