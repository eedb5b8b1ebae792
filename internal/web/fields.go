package web

import (
	"fmt"
	"slices"
	"time"

	"kax/internal/dissect"
	"kax/internal/timeline"
	"kax/internal/wire"
)

// fields takes the packets apart whose bytes the records bear.
type fields struct {
	started time.Time
	pass    dissect.Pass
	taken   []taken
	left    int // packets that came after those
}

// taken is a packet, to be taken apart at the end: what comes later belongs to
// its connection too.
type taken struct {
	frame  []byte
	around dissect.Context
}

// maxTaken bounds what a report holds, in memory and in the file: the fields of a
// packet take about 1 KiB there.
const maxTaken = 10_000

func (f *fields) take(e *timeline.Event) {
	link, ok := wire.LinkNamed(e.Link)
	if !ok {
		return
	}
	if len(f.taken) == maxTaken {
		f.left++
		return
	}
	data := slices.Clone(e.Bytes[:min(len(e.Bytes), maxTakenApart)])
	around := f.pass.Next(dissect.Frame{Link: link, Data: data, Length: e.Length, Time: f.started.Add(e.At.Duration())})
	around.Number, around.Verdict = e.Packet, dissect.Verdict(e)
	around.Time = time.Time{} // and what was captured between those on the timeline is not known here
	f.taken = append(f.taken, taken{data, around})
}

// A table has the fields of many packets. Most have most of their fields in
// common with others, so each field stands in it once.
type table struct {
	Nodes   [][]any `json:"nodes"` // text, offset, length, numbers of the nodes in it
	Packets []apart `json:"packets"`
	Left    int     `json:"left"` // packets without fields
}

// apart is a packet in a table.
type apart struct {
	Number  int      `json:"number"`
	Names   []string `json:"names"` // of the layers
	Layers  []int    `json:"layers"`
	Meaning []string `json:"meaning"`
}

func (f *fields) table() table {
	t := table{Nodes: [][]any{}, Packets: []apart{}, Left: f.left}
	known := map[string]int{}
	var node func(timeline.Field) int
	node = func(f timeline.Field) int {
		in := []int{}
		for _, g := range f.Fields {
			in = append(in, node(g))
		}
		key := fmt.Sprint(f.Offset, f.Length, in, f.Text)
		n, ok := known[key]
		if !ok {
			n = len(t.Nodes)
			known[key] = n
			t.Nodes = append(t.Nodes, []any{f.Text, f.Offset, f.Length, in})
		}
		return n
	}
	for _, p := range f.taken {
		whole := dissect.Packet(p.frame, p.around)
		out := apart{Number: whole.Number, Meaning: whole.Meaning}
		for _, l := range whole.Layers {
			out.Names, out.Layers = append(out.Names, l.Name), append(out.Layers, node(l.Field))
		}
		t.Packets = append(t.Packets, out)
	}
	return t
}
