package view

import (
	"fmt"
	"strings"
	"time"

	"kax/internal/timeline"
)

// tcpMeaning says what a tcp event means, in a few words.
func tcpMeaning(e *timeline.Event) string {
	after := timeline.Brief(time.Duration(e.After))
	text := Clean(e.Kind)
	switch e.Kind {
	case "syn":
		text = "SYN"
	case "syn-ack":
		text = "SYN, ACK"
	case "established":
		text = "ACK, open"
		if e.Segment == nil {
			text = "open"
		}
		if e.After > 0 {
			text += " after " + after
		}
	case "data":
		text = "data" + length(e)
	case "ack":
		text = "ACK"
	case "probe":
		text = fmt.Sprintf("probe %d, idle %s", e.Nth, timeline.Brief(time.Duration(e.Idle)))
	case "probe-answer":
		text = "answered"
		if e.After > 0 {
			text += " after " + after
		}
	case "window-probe":
		text = "window probe"
	case "window-probe-answer":
		text = "window probe answered"
	case "retransmission":
		text = "again" + length(e)
	case "fin":
		text = "FIN"
		if e.Segment != nil && e.Len > 0 {
			text = "data" + length(e) + ", FIN"
		}
	case "rst":
		text = "RST"
	}
	if e.Note != "" {
		text += " " + Clean(e.Note)
	}
	return text
}

func length(e *timeline.Event) string {
	if e.Segment == nil {
		return ""
	}
	return fmt.Sprintf(" %d", e.Len)
}

// httpMeaning says what an http event means, in pieces that may stand on lines
// of their own.
func httpMeaning(e *timeline.Event) []string {
	idle := timeline.Brief(time.Duration(e.Idle))
	var parts []string
	switch {
	case e.Request != nil:
		parts = append(parts, Clean(strings.TrimSpace(e.Method+" "+e.Target)))
		switch {
		case e.Reused:
			parts = append(parts, "reused after "+idle+" idle")
		case e.Note != "":
			parts = append(parts, Clean(e.Note))
		default:
			parts = append(parts, "new connection")
		}
	case e.Response != nil:
		parts = append(parts, fmt.Sprint(e.Status))
	case e.Kind == timeline.Opaque:
		parts = append(parts, Clean(e.Note))
	case e.Kind == "idle-close":
		parts = append(parts, "closes: idle for "+idle)
	default:
		parts = append(parts, strings.TrimSpace(Clean(e.Kind)+" "+Clean(e.Note)))
	}
	if e.Message == nil {
		return parts
	}
	if e.Response != nil && e.Status >= 200 && e.Connection == "" {
		stays := "stays open"
		switch {
		case e.Version == "HTTP/1.0":
			stays = "HTTP/1.0: closes"
		case e.Note != "":
			stays = Clean(e.Note)
		}
		parts = append(parts, stays)
	}
	if e.Connection != "" {
		parts = append(parts, "Connection: "+Clean(e.Connection))
	}
	if e.KeepAlive != "" {
		parts = append(parts, "Keep-Alive: "+Clean(e.KeepAlive))
	}
	return parts
}

func arrow(s timeline.Side) string {
	if s == timeline.Server {
		return "←"
	}
	return "→"
}
