package main

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"time"

	"kax/internal/capture"
	"kax/internal/wire"
)

// An end is a host with its side of a connection.
type end struct {
	mac   [6]byte
	ip    [4]byte
	port  uint16
	seq   uint32 // of the next byte
	seen  uint32 // the last time stamp of the other
	id    uint16 // of the next IP packet
	clock uint32 // its time stamp at the start
}

func newConn(number int) *conn {
	r := rand.New(rand.NewPCG(1, uint64(number)))
	return &conn{
		number: number,
		random: r,
		at:     start.Add(apart * time.Duration(number)),
		client: end{mac: [6]byte{2, 0, 0, 0, 1, byte(number)}, ip: [4]byte{10, 1, byte(number >> 8), byte(number)}, port: uint16(10000 + number), seq: r.Uint32(), clock: r.Uint32()},
		server: end{mac: [6]byte{2, 0, 0, 0, 2, 0}, ip: [4]byte{10, 2, 0, byte(number % 10)}, port: 80, seq: r.Uint32(), clock: r.Uint32()},
	}
}

const (
	ethernetSize = 14
	ipSize       = 20
)

// send yields a segment, and moves the sender on.
func (c *conn) send(from, to *end, flags wire.Flags, data []byte) {
	if c.ended {
		return
	}
	o := binary.BigEndian
	b := append(append(c.frame[:0], to.mac[:]...), from.mac[:]...)
	b = o.AppendUint16(b, 0x0800)

	options := []byte{1, 1}
	ack := to.seq
	if flags&wire.SYN != 0 {
		options = []byte{2, 4, 0x05, 0xb4, 4, 2} // segments of 1460 bytes, SACK; then time stamps
	}
	if flags&wire.ACK == 0 {
		ack = 0
	}
	stamp := from.clock + uint32(c.at.Sub(start).Milliseconds())
	options = o.AppendUint32(o.AppendUint32(append(options, 8, 10), stamp), from.seen)
	to.seen = stamp
	if flags&wire.SYN != 0 {
		options = append(options, 1, 3, 3, 7) // windows by 128
	}
	tcpSize := 20 + len(options) + len(data)

	b = append(b, 0x45, 0)
	b = o.AppendUint16(b, uint16(ipSize+tcpSize))
	b = o.AppendUint16(b, from.id)
	b = o.AppendUint16(b, 0x4000) // don't fragment
	b = append(b, 64, 6, 0, 0)
	b = append(append(b, from.ip[:]...), to.ip[:]...)
	from.id++

	b = o.AppendUint16(o.AppendUint16(b, from.port), to.port)
	b = o.AppendUint32(o.AppendUint32(b, from.seq), ack)
	b = append(b, byte(20+len(options))/4<<4, byte(flags))
	b = o.AppendUint16(b, 502) // window
	b = append(b, 0, 0, 0, 0)  // checksum, urgent pointer
	b = append(append(b, options...), data...)

	ip, tcp := b[ethernetSize:ethernetSize+ipSize], b[ethernetSize+ipSize:]
	o.PutUint16(ip[10:], ^sum(ip, 0))
	o.PutUint16(tcp[16:], ^sum(tcp, uint64(sum(ip[12:], 6+uint64(tcpSize)))))

	from.seq += uint32(len(data)) + uint32(bits.OnesCount8(uint8(flags&(wire.SYN|wire.FIN))))
	c.frame = b
	c.ended = !c.yield(capture.Packet{Time: c.at, Data: b, Length: len(b), Link: wire.Ethernet})
}

// sum is the Internet checksum's (RFC 1071), not yet complemented.
func sum(b []byte, n uint64) uint16 {
	for ; len(b) > 1; b = b[2:] {
		n += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		n += uint64(b[0]) << 8
	}
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return uint16(n)
}
