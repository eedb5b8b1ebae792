package capture_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kax/internal/capture"
	"kax/internal/need"
	"kax/internal/wire"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// named names interfaces 0 and 1.
func named(index int) string { return []string{"lo", "tun0", ""}[index] }

func create(t *testing.T) (*capture.Writer, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "test.pcapng")
	w, err := capture.Create(name, "kax test", named)
	if err != nil {
		t.Fatal(err)
	}
	return w, name
}

func write(t *testing.T, w *capture.Writer, packets ...capture.Packet) {
	t.Helper()
	for _, p := range packets {
		if err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
}

// check reads a file with pcapgo and compares.
func check(t *testing.T, name string, want []capture.Packet) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := pcapgo.NewNgReader(file, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	if app := r.SectionInfo().Application; app != "kax test" {
		t.Errorf("application %q", app)
	}
	for i, p := range want {
		data, info, err := r.ReadPacketData()
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		if !bytes.Equal(data, p.Data) {
			t.Errorf("packet %d: %q, want %q", i, data, p.Data)
		}
		if !info.Timestamp.Equal(p.Time) || info.Length != p.Length {
			t.Errorf("packet %d: at %d, length %d; want %d, %d", i, info.Timestamp.UnixNano(), info.Length, p.Time.UnixNano(), p.Length)
		}
		if on, err := r.Interface(info.InterfaceIndex); err != nil || on.Name != named(p.Interface) || on.LinkType != layers.LinkType(p.Link) {
			t.Errorf("packet %d on interface %d, %+v, %v; want %d, %v", i, info.InterfaceIndex, on, err, p.Interface, p.Link)
		}
	}
	if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
		t.Errorf("after %d packets: %v, want the end", len(want), err)
	}
}

func TestWriterKeepsBytesAndNanoseconds(t *testing.T) {
	w, name := create(t)
	write(t, w, written...)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	check(t, name, written)
}

// An interface is described when it is used first, once for each link type.
func TestWriterInterfaces(t *testing.T) {
	packet := func(index int, link wire.Link) capture.Packet {
		return capture.Packet{Time: time.Unix(1700000000, 1), Data: []byte("x"), Length: 1, Interface: index, Link: link}
	}
	packets := []capture.Packet{packet(1, wire.Raw), packet(0, wire.Ethernet), packet(1, wire.Raw), packet(1, wire.SLL2), packet(2, wire.Null), packet(0, wire.Ethernet)}
	w, name := create(t)
	write(t, w, packets...)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	check(t, name, packets)
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file, got, err := read(f)
	if err != io.EOF {
		t.Fatal(err)
	}
	for i, id := range []int{0, 1, 0, 2, 3, 1} {
		packets[i].Interface = id
	}
	same(t, got, packets)
	if want := []capture.Interface{{0, "tun0", wire.Raw, 0}, {1, "lo", wire.Ethernet, 0}, {2, "tun0", wire.SLL2, 0}, {3, "", wire.Null, 0}}; !slices.Equal(file.Interfaces(), want) {
		t.Errorf("interfaces %+v, want %+v", file.Interfaces(), want)
	}
}

// Someone may follow the file while it grows.
func TestWriterFlush(t *testing.T) {
	w, name := create(t)
	for i, p := range written {
		write(t, w, p)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		check(t, name, written[:i+1])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWriterReplaces(t *testing.T) {
	w, name := create(t)
	write(t, w, written...)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w, err := capture.Create(name, "kax test", named)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	check(t, name, nil)
}

func TestTsharkReadsTheFile(t *testing.T) {
	tshark := need.Tool(t, "tshark")
	w, name := create(t)
	write(t, w, written...)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tshark, "-n", "-r", name, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.cap_len", "-e", "frame.len").Output()
	if err != nil {
		t.Fatal(err)
	}
	const want = `1700000000.000000000	23	23
1700000000.000000001	35	65574
1700000000.999999999	3000	3000
1700000001.123456789	1	1
1700000001.123456788	0	60
`
	if string(out) != want {
		t.Errorf("tshark reads:\n%swant:\n%s", out, want)
	}
}

func TestCreateErrorNamesTheFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "no", "such", "folder.pcapng")
	if _, err := capture.Create(name, "kax test", named); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name) {
		t.Errorf("error %v, want one that names %s", err, name)
	}
}

// /dev/full (full(4)) takes no byte.
func TestWriteErrorNamesTheFile(t *testing.T) {
	const full = "/dev/full"
	_, err := os.Stat(full)
	need.Permission(t, "use "+full, err)
	w, err := capture.Create(full, "kax test", named)
	if err == nil {
		for range 100 { // more than any buffer
			if err = w.Write(written[2]); err != nil {
				break
			}
		}
		checkFull(t, "Write", err)
		checkFull(t, "Close", w.Close())
		return
	}
	checkFull(t, "Create", err)
}

func checkFull(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "write /dev/full: ") {
		t.Errorf("%s: %v, want one that names /dev/full", what, err)
	}
}

func BenchmarkWriter(b *testing.B) {
	w, err := capture.Create(os.DevNull, "kax test", named)
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write(written[1]); err != nil {
			b.Fatal(err)
		}
	}
}
