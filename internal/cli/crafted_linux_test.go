package cli

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// crafted is a pcap file of raw IP in the making (link type 101).
type crafted struct{ bytes.Buffer }

func newCrafted() *crafted {
	c := new(crafted)
	c.WriteString("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x65\x00\x00\x00")
	return c
}

// ip adds a packet of IPv4; length is what it says of itself.
func (c *crafted) ip(id, fragment uint16, length int, payload []byte) {
	packet := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2}
	binary.BigEndian.PutUint16(packet[2:], uint16(length))
	binary.BigEndian.PutUint16(packet[4:], id)
	binary.BigEndian.PutUint16(packet[6:], fragment)
	packet = append(packet, payload...)
	for _, n := range []int{1, 0, len(packet), max(length, len(packet))} {
		c.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
	}
	c.Write(packet)
}

// tcp adds a segment to port 80, of which length bytes of data are said to be
// there.
func (c *crafted) tcp(port uint16, seq uint32, flags byte, length int, data string) {
	head := []byte{19: 0}
	binary.BigEndian.PutUint16(head, port)
	head[3] = 80
	binary.BigEndian.PutUint32(head[4:], seq)
	head[12], head[13], head[14] = 0x50, flags, 0xff
	c.ip(0, 0, 40+length, append(head, data...))
}

// open adds half a handshake.
func (c *crafted) open(port uint16) { c.tcp(port, 0, 2, 0, "") }

// Whatever a capture of a few KiB says, and whatever it unpacks to, kax takes no
// more than some MiB above what it takes for one without a packet.
func TestReadCraftedCaptures(t *testing.T) {
	t.Parallel()
	const (
		few  = 12 << 10 // bytes of a file
		more = 16 << 20 // bytes of memory
		long = 60000
	)
	block := func(kind, length uint32, body string) string {
		b := binary.LittleEndian.AppendUint32(nil, kind)
		return string(binary.LittleEndian.AppendUint32(b, length)) + body
	}
	section := block(0x0a0d0d0a, 28, "\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x1c\x00\x00\x00")
	zeros := strings.Repeat("\x00", long)
	for name, make := range map[string]func(*crafted){
		"a block of 4 GiB": func(c *crafted) {
			c.Reset()
			c.WriteString(section + block(6, 1<<32-4, strings.Repeat("x", 1000)))
		},
		"sections and interfaces, in gzip": func(c *crafted) {
			c.Reset()
			c.WriteString(strings.Repeat(section+block(1, 20, "\x01\x00\x00\x00\xff\xff\xff\xff\x14\x00\x00\x00"), 50000))
		},
		"segments of which little is there": func(c *crafted) {
			c.open(1)
			for i := range 100 {
				c.tcp(1, uint32(1+i*long), 0x18, long, "GET / HTTP/1.1\r\n")
			}
		},
		"fragments of long packets": func(c *crafted) {
			for i := range 150 {
				c.ip(uint16(i), 0x2000|8190, 28, []byte("12345678"))
			}
		},
		"fragments, in gzip": func(c *crafted) {
			for i := range 100 {
				c.ip(uint16(i), 0x2000|1, 20+long, []byte(zeros))
			}
		},
		"connections, in gzip": func(c *crafted) {
			for i := range 2000 {
				c.tcp(1, uint32(i), 2, 0, "")
				c.tcp(1, uint32(i), 4, 0, "")
			}
		},
		"data out of order, in gzip": func(c *crafted) {
			c.open(1)
			for i := range 100 {
				c.tcp(1, uint32(10+i*long), 0x18, long, zeros)
			}
		},
		"a head without an end, in gzip": func(c *crafted) {
			c.open(1)
			c.tcp(1, 1, 0x18, 21, "GET / HTTP/1.1\r\nA: 123")
			for i := range 100 {
				c.tcp(1, uint32(22+i*long), 0x18, long, strings.Repeat("x", long))
			}
		},
		"requests, in gzip": func(c *crafted) {
			c.open(1)
			const request = "GET / HTTP/1.1\r\n\r\n"
			for i := range 60 {
				c.tcp(1, uint32(1+i*3000*len(request)), 0x18, 3000*len(request), strings.Repeat(request, 3000))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrafted()
			peak := func(flag string) int64 {
				content := c.Bytes()
				if strings.HasSuffix(name, "in gzip") {
					var packed bytes.Buffer
					z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
					_, _ = z.Write(content)
					_ = z.Close()
					content = packed.Bytes()
				}
				if len(content) > few {
					t.Fatalf("a file of %d bytes", len(content))
				}
				file := filepath.Join(t.TempDir(), "crafted")
				if err := os.WriteFile(file, content, 0o600); err != nil {
					t.Fatal(err)
				}
				cmd, left := kax(asIs, "read", file, flag), filepath.Join(t.TempDir(), "status")
				cmd.Env = append(cmd.Env, envStatus+"="+left,
					"GOGC=10") // or most of it is garbage
				if res := run(t, cmd); res.code > exitFailed {
					t.Error(res.code, res.stderr)
				}
				// Not from wait4(2): that is also of the test, before it became kax.
				status, err := os.ReadFile(left)
				if err != nil {
					t.Fatal(err)
				}
				var kib int64
				_, rest, _ := strings.Cut(string(status), "VmHWM:")
				if _, err := fmt.Sscan(rest, &kib); err != nil {
					t.Fatal(err)
				}
				return kib << 10
			}
			for _, flag := range []string{"--summary", "--json"} {
				c = newCrafted()
				empty := peak(flag)
				make(c)
				got := peak(flag) - empty
				t.Logf("%s: %d KiB more than %d KiB", flag, got>>10, empty>>10)
				if got > more && !raced() || got > 2*more { // the detector remembers accesses to all of it
					t.Errorf("%s: it takes %d MiB more than without a packet", flag, got>>20)
				}
			}
		})
	}
}

// raced reports whether the race detector is built in.
func raced() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
