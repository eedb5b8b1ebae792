package capture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"kax/internal/capture"
	"kax/internal/wire"
)

var orders = []byteOrder{binary.LittleEndian, binary.BigEndian}

func TestFilePcap(t *testing.T) {
	for _, order := range orders {
		for _, magic := range []uint32{microMagic, nanoMagic, modifiedMagic} {
			t.Run(fmt.Sprintf("%v %#x", order, magic), func(t *testing.T) {
				want := rounded(written, time.Microsecond)
				if magic == nanoMagic {
					want = slices.Clone(written)
				}
				for i := range want {
					want[i].Link = wire.SLL2
				}
				// A checksum of 4 bytes behind each packet is said in the highest bits.
				input := pcapBytes(order, magic, wire.SLL2, written...)
				order.PutUint32(input[20:], 0x44000000|uint32(wire.SLL2))
				f, got, err := read(bytes.NewReader(input))
				if err != io.EOF {
					t.Fatal(err)
				}
				same(t, got, want)
				if all := f.Interfaces(); f.Name() != "x" || f.Format() != "pcap" || f.Compressed() || f.Bytes() != int64(len(input)) ||
					!slices.Equal(all, []capture.Interface{{Link: wire.SLL2, Snaplen: 262144}}) {
					t.Errorf("%s, %s, compressed %v, %d bytes, interfaces %+v", f.Name(), f.Format(), f.Compressed(), f.Bytes(), all)
				}
			})
		}
	}
}

// Two sections, in either byte order, each with every kind of block.
func TestFilePcapng(t *testing.T) {
	const microsecond, second = 1_700_000_000_123_456, 1_700_000_000
	packet := func(text string) capture.Packet { return capture.Packet{Data: []byte(text), Length: 99} }
	var input []byte
	for _, order := range orders {
		n := ng{order}
		comment := n.option(1, "a comment of a length that is padded.")
		end := n.option(0, "")
		input = append(input, slices.Concat(
			n.section(comment, n.option(4, "application"), end),
			n.block(0xbad, make([]byte, 3<<18)), // longer than any buffer
			n.iface(wire.Ethernet, 5, comment, n.option(2, "eth0"), end),
			n.enhanced(0, microsecond, packet("microseconds"), comment, end),
			n.iface(wire.Raw, 0, n.option(9, "\x09"), n.option(2, "tun0")), // without an end of options
			n.iface(wire.SLL, 0, n.option(9, "\x94"), end, n.option(9, "\x03")),
			n.iface(wire.Null, 0, n.option(9, "\x00"), n.option(14, string(order.AppendUint64(nil, 1_000_000_000)))),
			n.iface(wire.Link(147), 0, n.option(14, string(order.AppendUint64(nil, 1<<64-3600)))),
			n.block(4, nil), // names
			n.enhanced(1, microsecond*1000+789, packet("nanoseconds")),
			n.enhanced(2, second<<20+1<<19, packet("a power of two, and a half")),
			n.enhanced(3, second-1_000_000_000, packet("seconds, and an offset")),
			n.enhanced(4, microsecond, packet("an offset the other way")),
			n.old(1, 7, microsecond*1000, packet("obsolete"), comment),
			n.simple(packet("simple, and cut to its interface's length")),
			n.block(5, make([]byte, 8)), // statistics
		)...)
	}
	at := time.UnixMicro(microsecond)
	section := []capture.Packet{
		{Time: at, Data: []byte("microseconds"), Link: wire.Ethernet},
		{Time: at.Add(789), Data: []byte("nanoseconds"), Interface: 1, Link: wire.Raw},
		{Time: time.Unix(second, 5e8), Data: []byte("a power of two, and a half"), Interface: 2, Link: wire.SLL},
		{Time: time.Unix(second, 0), Data: []byte("seconds, and an offset"), Interface: 3, Link: wire.Null},
		{Time: at.Add(-time.Hour), Data: []byte("an offset the other way"), Interface: 4, Link: 147},
		{Time: at, Data: []byte("obsolete"), Interface: 1, Link: wire.Raw},
		{Data: []byte("simpl"), Link: wire.Ethernet},
	}
	want := append(section, section...)
	for i := range want {
		want[i].Length = 99
	}
	interfaces := []capture.Interface{
		{0, "eth0", wire.Ethernet, 5}, {1, "tun0", wire.Raw, 0}, {2, "", wire.SLL, 0}, {3, "", wire.Null, 0}, {4, "", 147, 0},
	}
	for name, r := range map[string]io.Reader{
		"plain": bytes.NewReader(input), "in pieces": iotest.HalfReader(bytes.NewReader(input)), "byte by byte": iotest.OneByteReader(bytes.NewReader(input)),
		"gzip": bytes.NewReader(zip(t, input)), "gzip of several members": bytes.NewReader(zip(t, input[:50], input[50:1<<20], input[1<<20:])),
	} {
		f, got, err := read(r)
		if err != io.EOF {
			t.Fatalf("%s: %v", name, err)
		}
		same(t, got, want)
		if !slices.Equal(f.Interfaces(), interfaces) || f.Format() != "pcapng" || f.Compressed() != strings.HasPrefix(name, "gzip") {
			t.Errorf("%s: %s, compressed %v, interfaces %+v", name, f.Format(), f.Compressed(), f.Interfaces())
		}
		if again := f.Next(new(capture.Packet)); again != io.EOF {
			t.Errorf("%s: after the end %v", name, again)
		}
	}
}

// An interface of another section is another one if its name or link type is.
func TestFileInterfacesOfSections(t *testing.T) {
	n := ng{binary.LittleEndian}
	var input []byte
	for _, i := range [][]byte{n.iface(wire.Ethernet, 0, n.option(2, "a")), n.iface(wire.Ethernet, 0, n.option(2, "b")), n.iface(wire.Raw, 0, n.option(2, "a")), n.iface(wire.Ethernet, 9, n.option(2, "a"))} {
		input = append(input, slices.Concat(n.section(), i, n.enhanced(0, 0, written[0]))...)
	}
	_, got, err := read(bytes.NewReader(input))
	var on []int
	for _, p := range got {
		on = append(on, p.Interface)
	}
	if err != io.EOF || !slices.Equal(on, []int{0, 1, 2, 0}) {
		t.Errorf("packets of interfaces %v, %v", on, err)
	}
}

// A file that is cut anywhere gives the packets before, and says where the first
// one begins that is not all there.
func TestFileCutAnywhere(t *testing.T) {
	few := slices.Concat(written[:2], written[3:])
	n := ng{binary.BigEndian}
	for name, input := range map[string][]byte{
		"pcap":     pcapBytes(binary.LittleEndian, nanoMagic, wire.Ethernet, few...),
		"modified": pcapBytes(binary.BigEndian, modifiedMagic, wire.Ethernet, few...),
		"pcapng":   append(pcapngBytes(binary.BigEndian, few...), n.block(77, make([]byte, 40))...),
	} {
		t.Run(name, func(t *testing.T) {
			// Where pieces end: a file may end there. So many packets are before.
			ends := map[int]int{}
			if name == "pcapng" {
				for at, packets := 0, 0; at < len(input); {
					if binary.BigEndian.Uint32(input[at:]) == 6 {
						packets++
					}
					at += int(binary.BigEndian.Uint32(input[at+4:]))
					ends[at] = packets
				}
			} else {
				at, header := 24, 16
				if name == "modified" {
					header = 24
				}
				ends[at] = 0
				for i, p := range few {
					at += header + len(p.Data)
					ends[at] = i + 1
				}
			}
			if _, ok := ends[len(input)]; !ok {
				t.Fatalf("ends at %v of %d bytes", ends, len(input))
			}
			last, packets := 0, 0
			for size := 1; size <= len(input); size++ {
				if n, ok := ends[size]; ok {
					last, packets = size, n
				}
				_, got, err := read(bytes.NewReader(input[:size]))
				if len(got) != packets {
					t.Errorf("of %d bytes: %d packets, want %d", size, len(got), packets)
				}
				for i, p := range got {
					if !bytes.Equal(p.Data, few[i].Data) {
						t.Errorf("of %d bytes: packet %d: %q", size, i+1, p.Data)
					}
				}
				if size == last {
					if err != io.EOF {
						t.Errorf("of %d bytes: %v, want the end", size, err)
					}
					continue
				}
				var damage *capture.DamageError
				if !errors.As(err, &damage) || !errors.Is(err, io.ErrUnexpectedEOF) || damage.Offset != int64(last) || damage.Packets != packets || damage.Name != "x" || damage.Compressed {
					t.Errorf("of %d bytes: %v, want damage at %d after %d packets", size, err, last, packets)
				}
			}
		})
	}
}

// What a compressed file holds before it is cut is not lost; its offset is where
// the uncompressed record begins.
func TestFileCutCompressed(t *testing.T) {
	input := pcapBytes(binary.LittleEndian, nanoMagic, wire.Ethernet, written...)
	z := zip(t, input)
	most := 0
	for size := 1; size < len(z); size++ {
		_, got, err := read(bytes.NewReader(z[:size]))
		if len(got) < most {
			t.Errorf("of %d bytes: %d packets, of fewer %d", size, len(got), most)
		}
		most = len(got)
		var damage *capture.DamageError
		if !errors.As(err, &damage) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("of %d bytes: %v", size, err)
		}
		offset := 0
		if size >= 10 {
			for i, p := range got {
				if i == 0 {
					offset = 24
				}
				offset += 16 + len(p.Data)
			}
		}
		header := len(got) == 0 && damage.Offset == 24 // has been read or not
		if damage.Offset != int64(offset) && !header || damage.Compressed != (size > 1) {
			t.Errorf("of %d bytes, %d packets: %v, want offset %d", size, len(got), err, offset)
		}
	}
	if most != len(written) {
		t.Errorf("without its checksum: %d packets", most)
	}
	z[len(z)-5] ^= 1 // the checksum's
	if _, got, err := read(bytes.NewReader(z)); len(got) != len(written) || !strings.Contains(err.Error(), "of the uncompressed stream, after 5 packets: decompress: gzip: invalid checksum") {
		t.Errorf("with a wrong checksum: %d packets, %v", len(got), err)
	}
}

// Whatever is wrong is said with its place, after the packets before it, in
// bounded memory.
func TestFileDamage(t *testing.T) {
	le, n := binary.LittleEndian, ng{binary.LittleEndian}
	pcap := pcapBytes(le, nanoMagic, wire.Ethernet, written[0])
	record := len(pcap)
	begin := append(n.section(), n.iface(wire.Ethernet, 0)...)
	block := len(begin)
	patch := func(b []byte, at int, value uint32) []byte {
		b = bytes.Clone(b)
		le.PutUint32(b[at:], value)
		return b
	}
	p := n.enhanced(0, 0, written[0])
	huge := capture.Packet{Data: make([]byte, capture.MaxPacket+1), Length: 1}
	largest := capture.Packet{Time: written[0].Time, Data: make([]byte, capture.MaxPacket), Length: capture.MaxPacket, Link: wire.Ethernet}
	manySections, manyInterfaces := n.section(), bytes.Repeat(n.iface(wire.Ethernet, 0), 1<<13+1)
	for name, test := range map[string]struct {
		input   []byte
		packets int
		offset  int // -1 for no damage
		want    string
	}{
		"nothing":                  {nil, 0, -1, "x: it is empty: unexpected EOF"},
		"two bytes":                {[]byte("\n\r"), 0, 0, "the file header has 24 bytes, and 2 are there: unexpected EOF"},
		"text":                     {[]byte("GET / HTTP/1.1\r\n"), 0, -1, "x: neither pcap nor pcapng"},
		"text in gzip":             {zip(t, []byte("GET / HTTP/1.1\r\n")), 0, -1, "x: neither pcap nor pcapng"},
		"not gzip":                 {[]byte("\x1f\x8bGET / HTTP/1.1\r\n"), 0, 0, "gzip: invalid header"},
		"another version":          {patch(pcap, 4, 3), 0, -1, "x: pcap version 3.0: unsupported operation"},
		"link type":                {patch(pcap, 20, 0x10001), 0, -1, "x: link type 65537: unsupported operation"},
		"the largest packet":       {pcapBytes(le, nanoMagic, wire.Ethernet, largest, largest), 2, -1, "EOF"},
		"the largest in pcapng":    {pcapngBytes(le, largest, largest), 2, -1, "EOF"},
		"a larger one":             {pcapBytes(le, nanoMagic, wire.Ethernet, written[0], huge), 1, record, "a packet of 262145 bytes: more than 262144"},
		"4 GiB":                    {patch(pcapBytes(le, nanoMagic, wire.Ethernet, written[0], written[1]), record+8, 1<<32-1), 1, record, "a packet of 4294967295 bytes"},
		"no magic":                 {patch(begin, 8, 0), 0, 0, "a section header without its magic number"},
		"pcapng version":           {patch(begin, 12, 2), 0, 0, "pcapng version 2.0: unsupported operation"},
		"a short section":          {patch(begin, 4, 24), 0, 0, "a block of 24 bytes"},
		"another end":              {patch(begin, 24, 32), 0, 0, "a block of 28 bytes at its beginning, 32 at its end"},
		"a block of no bytes":      {slices.Concat(begin, p, patch(p, 4, 0)), 1, block + len(p), "a block of 0 bytes"},
		"a block of 13 bytes":      {slices.Concat(begin, p, patch(p, 4, 13)), 1, block + len(p), "a block of 13 bytes"},
		"a packet's other end":     {slices.Concat(begin, p, patch(p, len(p)-4, 8)), 1, block + len(p), "a block of 56 bytes at its beginning, 8 at its end"},
		"a block of 4 GiB":         {slices.Concat(begin, p, patch(p, 4, 1<<32-4)), 1, block + len(p), "a block of type 6 with 4294967292 bytes"},
		"unknown, of 4 GiB":        {slices.Concat(begin, p, patch(n.block(0xbad, nil), 4, 1<<32-4)), 1, block + len(p), "a block has 4294967292 bytes, and 12 are there"},
		"a packet beyond":          {slices.Concat(begin, p, patch(p, 20, 25)), 1, block + len(p), "a packet of 25 bytes in a block of 56"},
		"a packet far beyond":      {slices.Concat(begin, p, patch(p, 20, 1<<32-1)), 1, block + len(p), "a packet of 4294967295 bytes in a block of 56"},
		"a larger one in pcapng":   {slices.Concat(begin, p, n.enhanced(0, 0, huge)), 1, block + len(p), "a packet of 262145 bytes"},
		"a larger simple one":      {slices.Concat(begin, p, n.simple(capture.Packet{Data: huge.Data, Length: 1 << 30})), 1, block + len(p), "a packet of 262148 bytes"},
		"a packet's short block":   {slices.Concat(begin, p, n.block(6, make([]byte, 16))), 1, block + len(p), "a packet block of 28 bytes"},
		"a short simple block":     {slices.Concat(begin, p, n.block(3, nil)), 1, block + len(p), "a packet block of 12 bytes"},
		"an unknown interface":     {slices.Concat(begin, p, n.enhanced(1, 0, written[0])), 1, block + len(p), "a packet of interface 1, where 1 are described"},
		"of the section before":    {slices.Concat(begin, p, n.section(), p), 1, block + len(p) + 28, "a packet of interface 0, where 0 are described"},
		"simple, of no interface":  {slices.Concat(begin, n.section(), n.simple(written[0])), 0, block + 28, "a packet of interface 0, where none is described"},
		"a short interface":        {slices.Concat(begin, p, n.block(1, nil)), 1, block + len(p), "an interface description of 12 bytes"},
		"an option beyond":         {slices.Concat(begin, p, n.iface(1, 0, []byte{2, 0, 9, 0})), 1, block + len(p), "an option of 9 bytes, where the block has 0 left"},
		"10 to the 20th":           {slices.Concat(begin, p, n.iface(1, 0, n.option(9, "\x14"))), 1, block + len(p), "stamps of resolution 0x14"},
		"2 to the 64th":            {slices.Concat(begin, p, n.iface(1, 0, n.option(9, "\xc0"))), 1, block + len(p), "stamps of resolution 0xc0"},
		"an offset beyond time":    {slices.Concat(begin, p, n.iface(1, 0, n.option(14, "\xff\xff\xff\xff\xff\xff\xff\x7f"))), 1, block + len(p), "stamps with an offset of 9223372036854775807 s"},
		"a stamp beyond time":      {slices.Concat(begin, p, n.enhanced(0, 1<<63, written[0])), 1, block + len(p), "a packet of a time before 1970 or after 2241"},
		"a stamp that wraps":       {slices.Concat(n.section(), n.iface(1, 0, n.option(9, "\x00"), n.option(14, "\x09\x00\x00\x00\x00\x00\x00\x00")), n.enhanced(0, 1<<64-1, written[0])), 0, 28 + 40, "a packet of a time before 1970"},
		"a stamp before 1970":      {slices.Concat(n.section(), n.iface(1, 0, n.option(14, "\xff\xff\xff\xff\xff\xff\xff\xff")), n.enhanced(0, 999999, written[0])), 0, 28 + 32, "a packet of a time before 1970"},
		"8193 interfaces":          {slices.Concat(manySections, manyInterfaces), 0, -1, ""},
		"a pcapng that ends early": {begin[:block-5], 0, 28, "a block has 20 bytes, and 15 are there: unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f, got, err := read(bytes.NewReader(test.input))
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 && len(test.input) < 1<<16 {
				t.Errorf("%d bytes of memory for %d of input", used, len(test.input))
			}
			if len(got) != test.packets || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d packets, %v; want %d, %s", len(got), err, test.packets, test.want)
			}
			var damage *capture.DamageError
			if name == "8193 interfaces" {
				if !errors.As(err, &damage) || damage.Offset != int64(len(test.input)-20) {
					t.Errorf("%v", err)
				}
				return
			}
			if is := errors.As(err, &damage); is != (test.offset >= 0) || is && (damage.Offset != int64(test.offset) || damage.Packets != test.packets) {
				t.Errorf("%v: want damage at %d", err, test.offset)
			}
			if f != nil && f.Next(new(capture.Packet)) != err {
				t.Errorf("after %v something else", err)
			}
		})
	}
}

// Some KiB of gzip may be a lot of interfaces, each with a long name.
func TestFileOfInterfaces(t *testing.T) {
	n := ng{binary.LittleEndian}
	one := n.iface(wire.Ethernet, 0, n.option(2, strings.Repeat("x", 1000)))
	input := zip(t, append(n.section(), bytes.Repeat(one, 1<<13+1)...))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := read(bytes.NewReader(input))
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 || !strings.Contains(err.Error(), "more than 8192 interfaces") {
		t.Errorf("%d bytes of memory for %d of input, %v", used, len(input), err)
	}
}

// An input that cannot be read is not a damaged one.
func TestFileReadError(t *testing.T) {
	broken := errors.New("broken")
	input := pcapBytes(binary.LittleEndian, nanoMagic, wire.Ethernet, written...)
	for name, whole := range map[string][]byte{"plain": input, "gzip": zip(t, input)} {
		for _, size := range []int{0, 3, 15, 24, len(whole) / 2, len(whole)} {
			_, _, err := read(io.MultiReader(bytes.NewReader(whole[:size]), iotest.ErrReader(broken)))
			if !errors.Is(err, broken) || err.Error() != "read x: broken" {
				t.Errorf("%s, after %d bytes: %v", name, size, err)
			}
		}
	}
	dir := t.TempDir()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, _, err := read(f); err == nil || !strings.HasPrefix(err.Error(), "read x: ") || strings.Contains(err.Error(), dir) {
		t.Errorf("a directory: %v", err)
	}
	if _, _, err := read(stuck{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that reads nothing: %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// pieces are what a pipe has at a time. Whoever reads when there is none would
// wait.
type pieces struct {
	t    *testing.T
	left [][]byte
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		p.t.Fatal("waits for what is not there")
	}
	n := copy(b, p.left[0])
	if p.left[0] = p.left[0][n:]; len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
	return n, nil
}

// A packet is told as soon as its bytes are there, and a file header too.
func TestFileWhileItGrows(t *testing.T) {
	n := ng{binary.LittleEndian}
	for name, input := range map[string]struct {
		header  []byte
		packets func(p capture.Packet) []byte
	}{
		"pcap": {pcapBytes(binary.BigEndian, nanoMagic, wire.Ethernet), func(p capture.Packet) []byte {
			return pcapBytes(binary.BigEndian, nanoMagic, wire.Ethernet, p)[24:]
		}},
		"pcapng": {n.section(), func(p capture.Packet) []byte {
			return slices.Concat(n.section(), n.iface(wire.Ethernet, 0, n.option(9, "\x09")), n.enhanced(0, uint64(p.Time.UnixNano()), p))
		}},
	} {
		from := &pieces{t: t, left: [][]byte{input.header[:3], input.header[3:]}}
		f, err := capture.NewFile(from, "x")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for range 1000 { // more than the buffer holds
			for _, want := range written {
				whole := input.packets(want)
				from.left = [][]byte{whole[:7], whole[7:]}
				var got capture.Packet
				if err := f.Next(&got); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				same(t, []capture.Packet{got}, []capture.Packet{want})
			}
		}
	}
}

func TestFileAllocatesNothing(t *testing.T) {
	for name, one := range map[string][]byte{
		"pcap": pcapBytes(binary.LittleEndian, nanoMagic, wire.Ethernet, written...), "pcapng": pcapngBytes(binary.LittleEndian, written...),
	} {
		header := 24
		if name == "pcapng" {
			header = 28 + 28
		}
		f, err := capture.NewFile(bytes.NewReader(append(one[:header:header], bytes.Repeat(one[header:], 300)...)), "x")
		if err != nil {
			t.Fatal(err)
		}
		var p capture.Packet
		if n := testing.AllocsPerRun(1000, func() {
			if err := f.Next(&p); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a packet", name, n)
		}
	}
}
