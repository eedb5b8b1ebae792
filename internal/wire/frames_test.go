package wire_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

const (
	ipv4, ipv6 = 0x0800, 0x86dd
	tcp, udp   = 6, 17
	hopByHop   = 0
	routing    = 43
	fragment   = 44
	esp        = 50
	destOpts   = 60
	noNext     = 59
)

// An edit changes a layer's bytes after its lengths have been filled in.
type edit func(b []byte)

func put8(at int, v byte) edit    { return func(b []byte) { b[at] = v } }
func put16(at int, v uint16) edit { return func(b []byte) { binary.BigEndian.PutUint16(b[at:], v) } }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func edited(b []byte, edits []edit) []byte {
	for _, e := range edits {
		e(b)
	}
	return b
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// ether is an Ethernet header for kind, before it the given tags.
func ether(kind uint16, payload []byte, tags ...[]byte) []byte {
	return join(unhex("020000000002 020000000001"), join(tags...), binary.BigEndian.AppendUint16(nil, kind), payload)
}

// tag is a tag of the given EtherType: priority 3, VLAN 42.
func tag(kind uint16) []byte { return append(binary.BigEndian.AppendUint16(nil, kind), 0x60, 42) }

// inSLL is a Linux cooked header (LINKTYPE_LINUX_SLL) of lo, for kind.
func inSLL(kind uint16, payload []byte) []byte {
	return join(unhex("0000 0304 0006 000000000000 0000"), binary.BigEndian.AppendUint16(nil, kind), payload)
}

// inSLL2 is a Linux cooked header of the second version, for kind.
func inSLL2(kind uint16, payload []byte) []byte {
	return join(binary.BigEndian.AppendUint16(nil, kind), unhex("0000 00000001 0304 00 06 000000000000 0000"), payload)
}

// inIPv4 is an IPv4 packet from 192.0.2.1 to 192.0.2.2.
func inIPv4(proto byte, options, payload []byte, edits ...edit) []byte {
	head := join(unhex("45 00 0000 1234 4000 40 00 0000 c0000201 c0000202"), options)
	head[0] = 0x40 | byte(len(head)/4)
	head[9] = proto
	binary.BigEndian.PutUint16(head[2:], uint16(len(head)+len(payload)))
	return join(edited(head, edits), payload)
}

// inIPv6 is an IPv6 packet from 2001:db8::1 to 2001:db8::2.
func inIPv6(next byte, payload []byte, edits ...edit) []byte {
	head := unhex(`60000000 0000 00 40
		20010db8 00000000 00000000 00000001
		20010db8 00000000 00000000 00000002`)
	head[6] = next
	binary.BigEndian.PutUint16(head[4:], uint16(len(payload)))
	return join(edited(head, edits), payload)
}

// ext is an IPv6 extension header of 8 + 8·more bytes (RFC 8200 section 4).
func ext(next byte, more int) []byte {
	return join([]byte{next, byte(more), 1, byte(4 + 8*more)}, make([]byte, 4+8*more))
}

// fragHeader is an IPv6 fragment header; offset counts in units of 8 bytes.
func fragHeader(next byte, offset uint16, more bool) []byte {
	v := offset << 3
	if more {
		v |= 1
	}
	return append(binary.BigEndian.AppendUint16([]byte{next, 0}, v), 0, 0, 0, 7)
}

// inTCP is a segment from port 40000 to port 80, seq 0x01020304, ack
// 0xa1a2a3a4, window 0x1357.
func inTCP(flags uint16, options []byte, data string, edits ...edit) []byte {
	head := join(unhex("9c40 0050 01020304 a1a2a3a4 0000 1357 0000 0000"), options)
	for len(head)%4 != 0 {
		head = append(head, 0)
	}
	binary.BigEndian.PutUint16(head[12:], uint16(len(head)/4)<<12|flags)
	return join(edited(head, edits), []byte(data))
}
