package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"os"

	"kax/internal/capture"
	"kax/internal/wire"
)

// writePcap writes microseconds, as tcpdump does, and returns how many packets.
func writePcap(name string, s size) (n int, err error) {
	f, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	out := bufio.NewWriterSize(f, 1<<20)
	defer func() { err = errors.Join(err, out.Flush(), f.Close()) }()
	o := binary.LittleEndian
	head := o.AppendUint32(nil, 0xa1b2c3d4)
	head = o.AppendUint16(o.AppendUint16(head, 2), 4)
	head = append(head, make([]byte, 8)...)
	head = o.AppendUint32(o.AppendUint32(head, 1<<18), uint32(wire.Ethernet))
	if _, err := out.Write(head); err != nil {
		return 0, err
	}
	for p := range s.packets() {
		n++
		head = o.AppendUint32(head[:0], uint32(p.Time.Unix()))
		head = o.AppendUint32(head, uint32(p.Time.Nanosecond()/1000))
		head = o.AppendUint32(o.AppendUint32(head, uint32(len(p.Data))), uint32(p.Length))
		if _, err := out.Write(append(head, p.Data...)); err != nil {
			return n, err
		}
	}
	return n, nil
}

func writePcapng(name string, s size) (n int, err error) {
	w, err := capture.Create(name, "kax generate", func(int) string { return "eth0" })
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for p := range s.packets() {
		n++
		if err := w.Write(p); err != nil {
			return n, err
		}
	}
	return n, nil
}
