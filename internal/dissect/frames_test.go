package dissect_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kax/internal/wire"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// inTCP is a segment to port 80, seq 100, ack 200.
func inTCP(port, flags uint16, options, data string, edits ...func([]byte)) []byte {
	head := join(unhex("0000 0050 00000064 000000c8 0000 1357 0000 0000"), unhex(options))
	for len(head)%4 != 0 {
		head = append(head, 0)
	}
	binary.BigEndian.PutUint16(head, port)
	binary.BigEndian.PutUint16(head[12:], uint16(len(head)/4)<<12|flags)
	for _, e := range edits {
		e(head)
	}
	return join(head, []byte(data))
}

func put8(at int, v byte) func([]byte) { return func(b []byte) { b[at] = v } }
func put16(at int, v uint16) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint16(b[at:], v) }
}

func inIPv4(options string, payload []byte, edits ...func([]byte)) []byte {
	head := join(unhex("45 00 0000 1234 4000 40 06 0000 c0000201 c0000202"), unhex(options))
	head[0] = 0x40 | byte(len(head)/4)
	binary.BigEndian.PutUint16(head[2:], uint16(len(head)+len(payload)))
	for _, e := range edits {
		e(head)
	}
	return join(head, payload)
}

func inIPv6(next byte, payload []byte, edits ...func([]byte)) []byte {
	head := unhex(`60000000 0000 00 40
		20010db8 00000000 00000000 00000001
		20010db8 00000000 00000000 00000002`)
	head[6] = next
	binary.BigEndian.PutUint16(head[4:], uint16(len(payload)))
	for _, e := range edits {
		e(head)
	}
	return join(head, payload)
}

func ether(kind uint16, payload []byte, tags string) []byte {
	return join(unhex("020000000002 020000000001"), unhex(tags), binary.BigEndian.AppendUint16(nil, kind), payload)
}

// back is a segment from port 80.
func back(port, flags uint16, seq, ack uint32, data string) []byte {
	return raw(inTCP(80, flags, "", data, put16(2, port), put32(4, seq), put32(8, ack)), true)
}

func there(port, flags uint16, seq, ack uint32, data string) []byte {
	return raw(inTCP(port, flags, "", data, put32(4, seq), put32(8, ack)), false)
}

func put32(at int, v uint32) func([]byte) {
	return func(b []byte) { put16(at, uint16(v>>16))(b); put16(at+2, uint16(v))(b) }
}

func raw(segment []byte, reversed bool) []byte {
	if reversed {
		return inIPv4("", segment, put8(15, 2), put8(19, 1))
	}
	return inIPv4("", segment)
}

// talk is a connection with a probe, another on the same ports that is refused and
// tried again, one that is met midway, and one whose server answers twice.
func talk() [][]byte {
	return [][]byte{
		there(40000, 0x02, 100, 0, ""),
		back(40000, 0x12, 500, 101, ""),
		there(40000, 0x10, 101, 501, ""),
		there(40000, 0x18, 101, 501, "hello"),
		back(40000, 0x10, 501, 106, ""),
		there(40000, 0x10, 105, 501, ""),
		there(40000, 0x11, 106, 501, ""),
		back(40000, 0x11, 501, 107, ""),
		there(40000, 0x02, 9000, 0, ""),
		back(40000, 0x14, 0, 9001, ""),
		there(40000, 0x02, 9000, 0, ""),
		back(40001, 0x18, 77, 88, "first seen"),
		back(40002, 0x12, 700, 1, ""),
		back(40002, 0x12, 900, 1, ""),
		back(40002, 0x10, 901, 1, ""),
	}
}

// tcpOptions are one or more of each kind that Wireshark knows, and what is wrong
// with some.
var tcpOptions = []string{
	"020405b4 0402 080a 00000001 00000000 01 030307",
	"1312 10000000000000000000000000000000", "1308 111111111111", "1d10 0102 030405060708091011121314", "1d04 0102",
	"2202", "220a 0102030405060708", "fd04f989", "fd0cf989 0102030405060708",
	"1c048005", "1c040005", "0606 01020304", "0706 01020304", "0b06 01020304", "0c06 01020304", "0d06 01020304",
	"0a03c0", "0902", "0e0301", "0f0401ff", "63045566", "1902", "1a04 1100", "100401ff",
	"050a 00000064 00000078", "0512 00000064 00000078 0000008c 000000a0",
	"050a 00000190 000001a4", "0512 0000012c 00000136 00000190 000001a4",
	"020400ff", "0203ff", "030307", "03030f", "0402", "08080000 0000 0000", "080a0000", "0800", "0801", "08",
	"fe08 1234 aabbccdd", "fd03aa", "fd05007f 03", "fd0500ac 07", "1602", "1702", "140400ff", "1506 0102 0304", "1b08 0005 0000 0000",
	"01010101 01010101", "00ffffff", "1e0c 00 81 0102030405060708", "1e14 00 81 0102030405060708 0101010101010101",
	"1e04 01 81", "1e0c 01 01 0102030405060708",
}

// handmade are frames of what the public captures have none of, by link type.
func handmade() map[wire.Link][][]byte {
	port := uint16(40000)
	syn := func() []byte { // each of a connection of its own
		port++
		return inTCP(port, 0x002, "020405b4 0402 080a 00000001 00000000 01 030307", "")
	}
	bare := func(data string) []byte { port++; return inTCP(port, 0x010, "", data) }
	frames := map[wire.Link][][]byte{}
	eth := func(f ...[]byte) { frames[wire.Ethernet] = append(frames[wire.Ethernet], f...) }
	for _, o := range tcpOptions {
		if !strings.Contains(o, "0303") { // no host heeds a scale there (RFC 7323 section 2.2); Wireshark does
			port++
			eth(ether(0x800, inIPv4("", inTCP(port, 0x010, o, "")), ""))
		}
		port++
		eth(ether(0x800, inIPv4("", inTCP(port, 0x002, o, "")), ""))
	}
	for _, o := range []string{"ac05 00000a", "ae0b 000001 000002 000003", "ac08 000001 000002", "fd07acc0 000102", "fe0aacc1 000102 000003", "fe06acc0 0102"} {
		port++
		eth(ether(0x800, inIPv4("", inTCP(port, 0x002, o, "")), ""))
	}
	for flags := range uint16(12) {
		port++
		eth(ether(0x800, inIPv4("", inTCP(port, 1<<flags, "", "", put16(18, 5))), ""))
	}
	eth( // ways to agree on accurate ECN, and a segment that counts
		ether(0x800, inIPv4("", inTCP(1, 0x1c2, "", "")), ""),
		ether(0x800, inIPv4("", inTCP(80, 0x092, "", "", put16(2, 1)), put8(15, 2), put8(19, 1)), ""),
		ether(0x800, inIPv4("", inTCP(1, 0x150, "", "")), ""),
		ether(0x800, inIPv4("", inTCP(1, 0x091, "", "")), ""),
	)
	eth(
		ether(0x800, inIPv4("", inTCP(2, 0xfff, "", "")), ""),
		ether(0x800, inIPv4("", inTCP(3, 0, "", "")), ""),
		ether(0x800, inIPv4("", inTCP(4, 0x014, "", "no such\tport\x1b")), ""),
		ether(0x800, inIPv4("", inTCP(7, 0x018, "", "GET / HTTP/1.1\r\nHost: x\r\n\r\n")), ""),
		ether(0x800, inIPv4("94040000", syn()), ""),
		ether(0x800, inIPv4("01010100", syn()), ""),
		ether(0x800, inIPv4("", syn(), put16(6, 0)), ""),
		ether(0x800, inIPv4("", syn(), put16(6, 0xc000), put8(1, 0xb9)), ""),
		ether(0x800, inIPv4("", syn(), put8(1, 0x1c)), ""),
		ether(0x800, inIPv4("", syn(), put16(2, 0)), ""),
		ether(0x800, inIPv4("", syn(), put16(2, 10)), ""),
		ether(0x800, inIPv4("", syn(), put8(0, 0x42)), ""),
		ether(0x800, inIPv4("", unhex("0035003500140000 1100 0000 0000 0000 0000 0000"), put8(9, 17)), ""),
		ether(0x806, unhex("0001080006040001 020000000001c0000201 000000000000c0000202"), ""),
		join(unhex("ffffffffffff 020000000001 0026 424203"), make([]byte, 35)),
		join(unhex("01005e0000fb 020000000001 0800"), inIPv4("", syn())),
		ether(0x800, inIPv4("", syn()), "8100602a"),
		ether(0x800, inIPv4("", syn()), "88a8600a 8100602a"),
		ether(0x800, inIPv4("", syn()), "9100600a 8100702a"),
		join(ether(0x800, inIPv4("", bare("")), "8100602a"), make([]byte, 6)),
		join(ether(0x800, inIPv4("", bare("")), ""), make([]byte, 6)),
		join(ether(0x800, inIPv4("", bare("")), ""), make([]byte, 10)),
		join(ether(0x800, inIPv4("", bare("")), ""), bytes.Repeat([]byte{1}, 6)),
		join(ether(0x800, inIPv4("", bare("twenty bytes of data")), ""), bytes.Repeat([]byte{1}, 6)),
		join(ether(0x800, inIPv4("", bare("twenty bytes of data")), ""), bytes.Repeat([]byte{1}, 3)),
		join(ether(0x800, inIPv4("", bare("twenty bytes of data")), ""), make([]byte, 100)),
		ether(0x86dd, inIPv6(6, syn(), put8(0, 0x6b), put8(1, 0x91)), ""),
		ether(0x86dd, inIPv6(6, syn(), put8(16, 2), put8(19, 0xff), put8(20, 0xfe)), ""),
		ether(0x86dd, inIPv6(0, join(unhex("0600 0104 00000000"), syn())), ""),
		ether(0x86dd, inIPv6(60, join(unhex("0600 0502 0000 0100"), syn())), ""),
		ether(0x86dd, inIPv6(43, join(unhex("0602 0401 00000000 20010db8000000000000000000000009"), syn())), ""),
		ether(0x86dd, inIPv6(44, join(unhex("0600 0000 00000007"), syn())), ""),
	)
	whole := inTCP(6, 0x002, "020405b4 0402 080a 00000001 00000000 01 030307", "")
	eth( // two datagrams, each in two frames, and a lone piece
		ether(0x800, inIPv4("", whole[:24], put16(6, 0x2000)), ""),
		ether(0x800, inIPv4("", whole[24:], put16(6, 0x0003)), ""),
		ether(0x86dd, inIPv6(44, join(unhex("0600 0001 00000008"), whole[:24])), ""),
		ether(0x86dd, inIPv6(44, join(unhex("0600 0018 00000008"), whole[24:])), ""),
		ether(0x800, inIPv4("", whole[24:], put16(6, 0x2003), put16(4, 9)), ""),
	)
	frames[wire.Raw] = talk()
	for link, heads := range map[wire.Link][]string{
		wire.Null: {"02000000", "00000002", "63000000"},
		wire.Loop: {"00000002", "00000063"},
		wire.Raw:  {""}, wire.RawDLT: {""}, wire.IPv4: {""},
		wire.SLL: {
			"0000 0001 0006 0102030405060000 0800", "0000 0304 0006 0000000000000000 0800", "0004 0200 0000 0000000000000000 0800",
			"0003 fffe 0004 c000020100000000 0800", "0001 0001 0008 0102030405060708 0800", "0002 0001 0006 0102030405060000 8100 602a 0800",
			"0005 0001 0003 0102030000000000 0800",
		},
		wire.SLL2: {
			"0800 0000 00000002 0001 00 06 0102030405060000", "0800 0000 00000001 0304 04 06 0000000000000000",
			"0800 0000 00000001 fffe 00 00 0000000000000000", "0800 0000 00000001 0200 04 04 c000020100000000",
			"8100 0000 00000002 0001 00 06 0102030405060000 602a 0800", "0800 0000 00000002 0001 00 08 0102030405060708",
			"0800 0000 00000002 0001 00 03 0102030000000000",
		},
	} {
		for _, head := range heads {
			frames[link] = append(frames[link], join(unhex(head), inIPv4("", syn())))
		}
	}
	for link, heads := range map[wire.Link][]string{
		wire.Null: {"1e000000", "0000001c", "18000000"}, wire.Loop: {"0000001e", "00000018"}, wire.Raw: {""}, wire.IPv6: {""},
		wire.SLL: {"0004 0200 0000 0000000000000000 86dd"}, wire.SLL2: {"86dd 0000 00000001 fffe 00 00 0000000000000000"},
	} {
		for _, head := range heads {
			frames[link] = append(frames[link], join(unhex(head), inIPv6(6, syn())))
		}
	}
	return frames
}

// The same of frames that are made here, of every link type.
func TestAgreesOnHandmade(t *testing.T) {
	for link, frames := range handmade() {
		t.Run(link.String(), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "made.pcap")
			file, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			w := pcapgo.NewWriterNanos(file)
			if err := w.WriteFileHeader(1<<16, layers.LinkType(link)); err != nil {
				t.Fatal(err)
			}
			for i, f := range frames {
				at := time.Unix(1_700_000_000, 1).Add(time.Duration(i) * time.Millisecond)
				if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(f), Length: len(f)}, f); err != nil {
					t.Fatal(err)
				}
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
			compare(t, path)
		})
	}
}
