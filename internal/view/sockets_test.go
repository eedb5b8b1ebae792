package view_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"kax/internal/timeline"
	"kax/internal/view"
)

func pointer[T any](v T) *T { return &v }

// everySocket has a record of each sort that a machine's table may hold.
func everySocket() []timeline.Record {
	at := netip.MustParseAddrPort
	times := &timeline.KeepaliveTimes{Idle: at1(7200), Interval: at1(75), Count: 9}
	var records []timeline.Record
	for _, s := range []timeline.Socket{
		{State: "ESTAB", Local: at("10.0.0.5:40000"), Peer: at("192.0.2.7:443"), UID: 1000, PID: 1234, Process: "curl", FD: pointer(5),
			Timer: "keepalive", Expires: at1(12.4), ProbesOut: 2, LastSent: pointer(at1(7187.6)), LastReceived: pointer(at1(9000)), LastAck: pointer(at1(2.61)),
			Keepalive: pointer(true), KeepaliveTimes: times},
		{State: "ESTAB", Local: at("[2001:db8::1]:40000"), Peer: at("[2001:db8::2]:5432"), PID: 77, Process: "postgres", FD: pointer(12),
			Also: []timeline.Owner{{PID: 78, Process: "postgres", FD: 12}, {PID: 79, Process: "postgres", FD: 12}}, LastReceived: pointer(at1(400000)), LastAck: pointer(at1(0.2)),
			Keepalive: pointer(false), KeepaliveTimes: &timeline.KeepaliveTimes{Idle: at1(7200), Interval: at1(75), Count: 9, UserTimeout: at1(2.5)}},
		{State: "LISTEN", Local: at("0.0.0.0:22"), Peer: at("0.0.0.0:0"), PID: 1, Process: "sshd", FD: pointer(3),
			Keepalive: pointer(true), KeepaliveTimes: &timeline.KeepaliveTimes{Idle: at1(15), Interval: at1(15), Count: 9, UserTimeout: at1(30)}},
		{State: "ESTAB", Local: at("10.0.0.5:40001"), Peer: at("192.0.2.8:443"), UID: 33, Timer: "keepalive", Expires: at1(0), Keepalive: pointer(true), Unread: "another user's: needs root"},
		{State: "ESTAB", Local: at("10.0.0.5:40002"), Peer: at("192.0.2.8:443"), UID: 33, Timer: "retransmit", Expires: at1(0.8), Unread: "another user's: needs root"},
		{State: "TIME-WAIT", Local: at("[fe80::1%eth0]:40003"), Peer: at("[fe80::2%eth0]:443"), Timer: "time-wait", Expires: at1(59.96), Unread: "no process has it open", Orphan: true},
	} {
		records = append(records, timeline.Record{Socket: &s})
	}
	return records
}

func at1(s float64) timeline.Seconds { return timeline.Seconds(s * float64(time.Second)) }

func cutSockets() []timeline.Record {
	records := everySocket()
	header := &timeline.Header{Schema: 1, Command: "tcp sockets", Settings: timeline.Settings{CutBy: at1(350)}}
	records[0].Socket.Cut, records[0].Socket.Fix = "first probe after up to 2h1m14.496s", "kax tcp set --pid 1234 --fd 5 --keepidle 343"
	records[1].Socket.Cut = "keepalive off"
	records[4].Socket.Busy = "data is in flight"
	return append([]timeline.Record{{Header: header}}, records[0], records[1], records[3], records[4])
}

// leftOut is a machine with connections within it only, but for one that may not
// be read.
func leftOut() []timeline.Record {
	records := cutSockets()
	records[0].Header.Settings.LoopbackLeftOut = 3
	return []timeline.Record{records[0], records[3]}
}

type ending interface {
	view.View
	End() error
}

func table(t *testing.T, make func(*bytes.Buffer) ending, records []timeline.Record) string {
	t.Helper()
	var out bytes.Buffer
	v := make(&out)
	for _, r := range records {
		if err := v.Record(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.End(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func sockets(o view.Options) func(*bytes.Buffer) ending {
	return func(b *bytes.Buffer) ending { return view.NewSockets(b, o) }
}

func cuts(o view.Options) func(*bytes.Buffer) ending {
	return func(b *bytes.Buffer) ending { return view.NewCut(b, o) }
}

func TestSocketTables(t *testing.T) {
	for name, got := range map[string]string{
		"sockets":       table(t, sockets(view.Options{Width: 80, Uncut: true}), everySocket()),
		"sockets-140":   table(t, sockets(view.Options{Width: 140}), everySocket()),
		"sockets-idle":  table(t, sockets(view.Options{Width: 80}), everySocket()[1:3]),
		"sockets-80":    table(t, sockets(view.Options{Width: 80}), everySocket()),
		"sockets-color": table(t, sockets(view.Options{Width: 80, Color: true}), everySocket()),
		"sockets-none":  table(t, sockets(view.Options{Width: 80}), nil),
		"cut":           table(t, cuts(view.Options{Width: 80}), cutSockets()),
		"cut-pipe":      table(t, cuts(view.Options{Width: 80, Uncut: true}), cutSockets()),
		"cut-left-out":  table(t, cuts(view.Options{Width: 80}), leftOut()),
		"cut-none":      table(t, cuts(view.Options{Width: 80}), cutSockets()[:1]),
	} {
		t.Run(name, func(t *testing.T) { golden(t, name+".txt", []byte(got)) })
	}
}

// On a terminal no line is longer than it, and a table drawn over another no
// higher: what does not fit is counted.
func TestSocketsFit(t *testing.T) {
	for _, width := range []int{60, 80, 120} {
		for _, height := range []int{0, 3, 6, 8, 9, 10, 50} {
			got := table(t, sockets(view.Options{Width: width, Height: height}), everySocket())
			plain := strings.NewReplacer("\x1b[H", "", "\x1b[K", "", "\x1b[J", "").Replace(got)
			lines := strings.Split(strings.TrimSuffix(plain, "\n"), "\n")
			for _, line := range lines {
				if strings.HasSuffix(line, "…") {
					t.Errorf("cut: %s", line)
				}
				if n := utf8.RuneCountInString(line); n > width {
					t.Errorf("%d columns of %d: %s", n, width, line)
				}
			}
			if height > 5 && len(lines) > height {
				t.Errorf("%d lines on a terminal of %d", len(lines), height)
			}
			if height == 0 {
				continue
			}
			if !strings.HasPrefix(got, "\x1b[H") || !strings.HasSuffix(got, "\x1b[K\x1b[J") {
				t.Errorf("not drawn over the one before: %q", got)
			}
			hidden := 0
			for _, line := range lines {
				_, _ = fmt.Sscanf(line, "… %d more", &hidden)
			}
			shown := strings.Count(plain, "ESTAB") + strings.Count(plain, "TIME-WAIT") + strings.Count(plain, "LISTEN")
			if shown+hidden != 6 {
				t.Errorf("%d shown and %d more, of 6, on %d lines:\n%s", shown, hidden, height, plain)
			}
		}
	}
}

func TestSocketsAreClean(t *testing.T) {
	r := timeline.Record{Socket: &timeline.Socket{
		State: hostile, Process: hostile, Timer: hostile, Unread: hostile, PID: 1, FD: pointer(1), Cut: hostile, Fix: hostile,
		Local: netip.AddrPortFrom(netip.MustParseAddr("fe80::1").WithZone(hostile), 1), Also: []timeline.Owner{{PID: 2, Process: hostile}},
	}}
	unread := *r.Socket
	unread.Cut = ""
	for _, got := range []string{
		table(t, sockets(view.Options{Width: 500, Uncut: true}), []timeline.Record{r}),
		table(t, cuts(view.Options{Width: 500}), []timeline.Record{r, {Socket: &unread}}),
	} {
		for line := range strings.Lines(got) {
			if clean := strings.TrimSuffix(line, "\n"); view.Clean(clean) != clean {
				t.Errorf("%q", line)
			}
		}
		if !strings.Contains(got, `\x1b[31m`) {
			t.Errorf("nothing of it is shown: %s", got)
		}
	}
}
