package view

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"kax/internal/timeline"
)

// exchanges writes a table of requests, each followed by what there is to say of
// it.
func (o Options) exchanges(b *bytes.Buffer, all []timeline.Exchange) {
	if len(all) == 0 {
		return
	}
	// They come in the order in which they have ended.
	slices.SortFunc(all, func(a, b timeline.Exchange) int { return cmp.Compare(a.N, b.N) })
	o.Width = max(o.Width, minWidth)
	row := func(s style, n, conn, status, how, idle, connect, tls, first string) {
		line := fmt.Sprintf("%7s %5s %6s  %-6s %8s %9s %9s %10s", n, conn, status, how, idle, connect, tls, first)
		fmt.Fprintf(b, "%s\n", o.paint(s, cut(line, o.Width)))
	}
	fmt.Fprintln(b)
	row(bold, "request", "conn", "status", "", "idle", "connect", "TLS", "first byte")
	for _, e := range all {
		conn, status, how := "-", "-", "-"
		if e.Conn > 0 {
			conn, how = fmt.Sprintf("#%d", e.Conn), "new"
		}
		if e.Status > 0 {
			status = fmt.Sprint(e.Status)
		}
		connect, tls := spent(e.Connect), spent(e.TLS)
		if e.Reused {
			how, connect = "reused", "saved"
			if strings.HasPrefix(e.URL, "https:") {
				tls = "saved"
			}
		}
		row(plain, fmt.Sprint(e.N), conn, status, how, spent(e.Idle), connect, tls, spent(e.FirstByte))
		for _, text := range remarks(e) {
			o.paragraph(b, plain, "        ", text)
		}
	}
}

func spent(s timeline.Seconds) string {
	if s == 0 {
		return "-"
	}
	return timeline.Brief(time.Duration(s))
}

// remarks are what does not fit into a column.
func remarks(e timeline.Exchange) (lines []string) {
	if e.Because != "" && e.Why != "first" {
		lines = append(lines, Clean(e.Why)+": "+Clean(e.Because))
	}
	if e.Retried {
		lines = append(lines, "sent again by the client: it met the end of another connection first")
	}
	if said := headers(e.Sent); said != "" {
		lines = append(lines, "client: "+said)
	}
	if said := headers(e.Got); said != "" {
		lines = append(lines, "server: "+said)
	}
	if e.Status >= 300 && e.Status < 400 && e.Location != "" {
		lines = append(lines, "to "+Clean(e.Location)+", not followed")
	}
	if e.Error != "" {
		lines = append(lines, "failed: "+Clean(e.Error))
	}
	return lines
}

// headers are those about the connection, with the version where it is old.
func headers(m timeline.Message) string {
	var parts []string
	if m.Version == "HTTP/1.0" {
		parts = append(parts, m.Version)
	}
	if m.Connection != "" {
		parts = append(parts, "Connection: "+Clean(m.Connection))
	}
	if m.KeepAlive != "" {
		parts = append(parts, "Keep-Alive: "+Clean(m.KeepAlive))
	}
	return strings.Join(parts, ", ")
}
