package observe_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"kax/internal/capture"
	"kax/internal/observe"
	"kax/internal/timeline"
	"kax/internal/wire"
)

// traffic is a capture of raw IPv4 in the making.
type traffic struct {
	bytes.Buffer
	r  *rand.Rand
	at uint32 // milliseconds
}

// segment adds a packet between a client's port and a server's, which may be lost,
// or come twice.
func (f *traffic) segment(port uint16, fromServer bool, seq, ack uint32, flags wire.Flags, data string) {
	f.at += uint32(f.r.IntN(40))
	o := binary.BigEndian
	client, server := []byte{10, 0, 0, 1}, []byte{10, 0, 0, 2}
	from, to := port, uint16(80)
	if fromServer {
		client, server, from, to = server, client, to, from
	}
	b := o.AppendUint16([]byte{0x45, 0}, uint16(40+len(data)))
	b = append(append(append(b, 0, 0, 0, 0, 64, 6, 0, 0), client...), server...)
	b = o.AppendUint16(o.AppendUint16(b, from), to)
	b = o.AppendUint32(o.AppendUint32(b, seq), ack)
	b = o.AppendUint16(o.AppendUint16(append(b, 0x50, byte(flags)), 500), 0)
	b = append(append(b, 0, 0), data...)
	kept := b[:len(b)-f.r.IntN(3)/2*f.r.IntN(len(data)+1)] // snapped, some
	for range []int{1, 1, 1, 1, 1, 1, 1, 1, 2, 0}[f.r.IntN(10)] {
		for _, n := range []uint32{f.at / 1000, f.at % 1000 * 1000, uint32(len(kept)), uint32(len(b))} {
			_ = binary.Write(f, binary.LittleEndian, n)
		}
		f.Write(kept)
	}
}

// spoken is what each side says, in turn.
var spoken = [2][]string{
	{
		"GET /a HTTP/1.1\r\nHost: a.example\r\nUser-Agent: x/1\r\nAccept: */*\r\n\r\n",
		"GET /b HTTP/1.1\r\nHost: b.example\r\nUser-Agent: x/1\r\n\r\nGET /pipelined HTTP/1.1\r\nHost: b.example\r\n\r\n",
		"POST /c HTTP/1.1\r\nHost: a.example\r\nContent-Length: 17\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"HTTP/1.1 200 OK\r\nServer: the wrong way round\r\n\r\n",
		"GET / HTTP/1.1\r\nbad line\r\n\r\n",
		"\x16\x03\x01\x00\x05hello",
		"CONNECT a.example:443 HTTP/1.1\r\n\r\n",
	},
	{
		"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nkept\n",
		"HTTP/1.1 200 OK\r\nServer: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nkept\n\r\n0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 299 Very\r\nServer: y\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 4800\r\n\r\n" + strings.Repeat("HTTP/1.1 is in a body\r\n\r\n", 200),
		"GET / HTTP/1.1\r\nHost: the.wrong.way.round\r\n\r\n",
	},
}

// connection adds one from a port, of which all segments may be there.
func (f *traffic) connection(port uint16) {
	seq := [2]uint32{f.r.Uint32(), f.r.Uint32()}
	send := func(side int, flags wire.Flags, data string) {
		f.segment(port, side == 1, seq[side], seq[1-side], flags, data)
		seq[side] += uint32(len(data))
	}
	send(0, wire.SYN, "")
	seq[0]++
	send(1, wire.SYN|wire.ACK, "")
	seq[1]++
	send(0, wire.ACK, "")
	for range 1 + f.r.IntN(20) {
		for side, all := range spoken {
			m := all[min(f.r.IntN(len(all)), f.r.IntN(len(all)))]
			for len(m) > 0 {
				n := min(len(m), 1+f.r.IntN(1448))
				if f.r.IntN(4) > 0 {
					n = min(len(m), 1448)
				}
				send(side, wire.ACK, m[:n])
				m = m[n:]
			}
		}
		send(0, wire.ACK, "")
		for range f.r.IntN(3) {
			f.at += 2000
			f.segment(port, false, seq[0]-1, seq[1], wire.ACK, "")
			send(1, wire.ACK, "")
		}
	}
	send(f.r.IntN(2), []wire.Flags{wire.FIN | wire.ACK, wire.RST, wire.ACK}[f.r.IntN(3)], "")
}

// Reading ahead tells what taking packet by packet does.
func TestReadAhead(t *testing.T) {
	t.Parallel()
	f := traffic{r: rand.New(rand.NewPCG(3, 4))}
	f.WriteString("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x04\x00\x65\x00\x00\x00")
	for f.Len() < 5*capture.BufferSize {
		f.connection(uint16(1024 + f.r.IntN(200)))
	}
	for _, silent := range []bool{true, false} {
		records := func(read func(*observe.Observer, *capture.File) error) string {
			var b bytes.Buffer
			o := observe.Observer{
				Observing: timeline.Observing{NoEvents: silent, MaxConns: 10},
				Emit: func(r timeline.Record) {
					if err := json.NewEncoder(&b).Encode(r); err != nil {
						t.Error(err)
					}
				},
			}
			file, err := capture.NewFile(bytes.NewReader(f.Bytes()), "x")
			if err != nil {
				t.Fatal(err)
			}
			if err := read(&o, file); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			o.Finish(0)
			return b.String()
		}
		want := records(func(o *observe.Observer, file *capture.File) error {
			var p capture.Packet
			for {
				if err := file.Next(&p); err != nil {
					return err
				}
				o.Packet(&p)
			}
		})
		ways := map[string]func(*observe.Observer, *capture.File) error{
			"ahead": func(o *observe.Observer, file *capture.File) error {
				return o.Read(file, 0, func() error { return nil })
			},
		}
		if silent {
			ways["heads ahead"] = (*observe.Observer).ReadHeads
		}
		for name, read := range ways {
			g, w := strings.Split(records(read), "\n"), strings.Split(want, "\n")
			for i := range max(len(g), len(w)) {
				if i >= len(g) || i >= len(w) || g[i] != w[i] {
					t.Fatalf("%s, silent %t: record %d:\ngot  %.500s\nwant %.500s", name, silent, i, g[min(i, len(g)-1)], w[min(i, len(w)-1)])
				}
			}
		}
		if !strings.Contains(want, `"requests":2`) || !strings.Contains(want, "evicted") {
			t.Error("the traffic lacks something")
		}
	}
}
