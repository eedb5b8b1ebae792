package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"kax/internal/capture"
	"kax/internal/dissect"
	"kax/internal/observe"
	"kax/internal/timeline"
)

// dissect takes one packet of a capture apart. It reads all of the file: what
// comes later belongs to the conversation too.
func (r *reading) dissect(ctx context.Context, h timeline.Header, number int) error {
	file, err := capture.NewFile(r.in, r.in.name)
	if err != nil {
		return err // names the file
	}
	var (
		pass    dissect.Pass
		data    []byte
		around  dissect.Context
		verdict string
	)
	o := observe.Observer{Emit: func(rec timeline.Record) {
		if e := rec.Event; e != nil && e.Packet == number && e.Lane == timeline.TCP {
			verdict = dissect.Verdict(e)
		}
	}}
	read := 0
	var p capture.Packet
	for err = file.Next(&p); err == nil; err = file.Next(&p) {
		if read++; read%1024 == 0 {
			if err = stopped(ctx); ctx.Err() != nil {
				return err
			}
			r.progress.tell(read)
		}
		c := pass.Next(dissect.Frame{Link: p.Link, Data: p.Data, Length: p.Length, Time: p.Time, Interface: onInterface(file, p.Interface)})
		if read == number {
			data, around = slices.Clone(p.Data), c
		}
		if read <= number {
			o.Packet(&p)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if read < number {
		return errors.Join(err, fmt.Errorf("--packet %d: %s has %s", number, r.in.name, timeline.Count(read, "packet")))
	}
	h.Started = around.Time
	around.Verdict = verdict
	taken := dissect.Packet(data, around)
	r.record(timeline.Record{Header: &h})
	r.record(timeline.Record{Packet: &taken})
	return err
}

// onInterface is where a packet of a pcapng file was captured.
func onInterface(file *capture.File, index int) *dissect.Interface {
	all := file.Interfaces()
	if file.Format() != "pcapng" || index >= len(all) {
		return nil
	}
	return &dissect.Interface{Section: 1, ID: all[index].ID, Name: all[index].Name}
}
