package view

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"kax/internal/timeline"
	"kax/internal/times"
)

// labelWidth is the header's first column.
const labelWidth = 12

// header says what was asked, what the kernel made of it, and where the
// packets come from.
func (o Options) header(b *bytes.Buffer, h *timeline.Header) {
	width := max(o.Width, minWidth)
	name := cut("kax "+Clean(h.Command), width/2)
	version := cut("("+Clean(h.Version)+")", width-utf8.RuneCountInString(name)-1)
	fmt.Fprintf(b, "%s %s\n", o.paint(bold, name), o.paint(dim, version))
	if h.Settings.LabSettings != nil {
		o.question(b, h.Settings)
		o.paragraph(b, dim, pad("packets", labelWidth), string(h.Source)+": every packet on every host; each is shown where it was sent")
		return
	}
	for _, line := range [][2]string{
		{"TCP client", o.ends(h.Settings, h.Settings.ClientTCP)},
		{"TCP server", o.ends(h.Settings, h.Settings.ServerTCP)},
		{"HTTP", http(h.Settings)},
		{"packets", o.source(h)},
	} {
		if line[1] != "" {
			o.paragraph(b, dim, pad(line[0], labelWidth), line[1])
		}
	}
}

// ends gives the keepalive of one end, where that is known and no plan says it
// too.
func (o Options) ends(s timeline.Settings, k timeline.Keepalive) string {
	unknown := s.HTTPSettings == nil || s.RequestSettings != nil // where it is zero
	if o.TCPOnly || unknown && k == (timeline.Keepalive{}) {
		return ""
	}
	return keepalive(k)
}

func http(s timeline.Settings) string {
	if s.HTTPSettings == nil {
		return ""
	}
	text := "server " + Clean(s.Server)
	if s.IdleTimeout > 0 || s.RequestSettings == nil {
		text += ", idle timeout " + seconds(s.IdleTimeout)
	}
	text += "; client pauses " + pauses(s.Pauses)
	if !s.Reuse {
		text += ", never reuses a connection"
	} else {
		text += ", reuses connections"
	}
	if r := s.RequestSettings; r != nil {
		if r.Concurrency > 1 {
			text += fmt.Sprintf("; %d requests at a time", r.Concurrency)
		}
		idle := "for ever"
		if r.PoolIdle > 0 {
			idle = "for " + seconds(r.PoolIdle)
		}
		text += fmt.Sprintf("; keeps up to %s a server %s", timeline.Count(r.PoolSize, "idle connection"), idle)
	}
	return text
}

// keepalive says what was asked for, and what the kernel reads back.
func keepalive(k timeline.Keepalive) string {
	asked, got := options(k.Asked), options(k.Effective)
	if asked == got {
		return asked + "; the kernel reads back the same"
	}
	return asked + "; the kernel reads back: " + got
}

func options(k timeline.KeepaliveOptions) string {
	if !k.Keepalive {
		return "keepalive off"
	}
	text := "keepalive on"
	if k.Idle > 0 {
		text += ", idle " + seconds(k.Idle)
	}
	if k.Interval > 0 {
		text += ", interval " + seconds(k.Interval)
	}
	if k.Count > 0 {
		text += fmt.Sprintf(", count %d", k.Count)
	}
	if k.UserTimeout > 0 {
		text += ", user timeout " + seconds(k.UserTimeout)
	}
	return text
}

// seconds writes a time that was asked for, or predicted.
func seconds(s timeline.Seconds) string { return times.Clock(time.Duration(s)) }

func pauses(ps []timeline.Seconds) string {
	if len(ps) == 0 {
		return "0s"
	}
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = seconds(p)
	}
	return strings.Join(texts, ", ")
}

// source says which rung of the ladder this is, and what it cannot show.
func (o Options) source(h *timeline.Header) string {
	switch h.Source {
	case "":
		return "" // no packets are looked at
	case timeline.File:
		return "file: " + Clean(h.Settings.File) + ", begun " + h.Started.Format("2006-01-02 15:04:05.000 MST")
	case timeline.AFPacket:
		if on := h.Settings.Interface; on != "" {
			return "af_packet: live, on " + Clean(on)
		}
		if o.TCPOnly || h.Settings.RequestSettings != nil {
			return "af_packet: every packet of these connections; a tcpdump beside it sees the same ones"
		}
		if h.Settings.Private {
			return "af_packet: every packet on lo of a network namespace of its own; a tcpdump on the host does not see them"
		}
		return "af_packet: every packet on the host's lo; a tcpdump beside it sees the same ones"
	case timeline.UserNS:
		return "userns: every packet on lo of a user and network namespace of its own; a tcpdump on the host does not see them"
	case timeline.Pipe:
		return "pipe: what another program captures and writes; what comes up to 1.2 s late finds its place, later packets are marked, and those that it misses are missing here"
	case timeline.Counters:
		return "counters: no packets are captured; kax infers probes and data from TCP_INFO of its own sockets, every 5 ms; handshakes, ACKs and sequence numbers are not to be seen"
	}
	return Clean(string(h.Source))
}
