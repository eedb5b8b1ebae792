package view

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"kax/internal/timeline"
	"kax/internal/times"
)

// Sockets shows socket records as a table, when its end is told.
type Sockets struct {
	w       io.Writer
	opts    Options
	table   *table
	total   int
	on, off int
	unknown int
	orphans int     // sockets that no process has open
	unread  reasons // why settings could not be read, on or not
}

// NewSockets returns a view that writes to w.
func NewSockets(w io.Writer, o Options) *Sockets {
	return &Sockets{w: w, opts: o, table: newTable(
		column{name: "state"}, column{name: "local"}, column{name: "peer"}, column{name: "process"},
		column{name: "keepalive"}, column{name: "timer"}, column{name: "probes", right: true},
		column{name: "data", right: true}, column{name: "ack", right: true}, column{name: "timeout", right: true},
	)}
}

// Record takes r.
func (v *Sockets) Record(r timeline.Record) error {
	if r.Socket != nil {
		v.row(r.Socket)
	}
	return nil
}

func (v *Sockets) row(s *timeline.Socket) {
	v.total++
	why := 0
	switch {
	case s.Orphan:
		v.orphans++
	case s.KeepaliveTimes == nil:
		why = v.unread.add(s.Unread)
	}
	switch {
	case s.Orphan:
	case s.Keepalive == nil:
		v.unknown++
	case *s.Keepalive:
		v.on++
	default:
		v.off++
	}
	t := v.table
	t.put(s.State)
	t.addr(s.Local)
	t.addr(s.Peer)
	t.owner(s, v.opts.Uncut)
	t.keepalive(s, why)
	t.timer(s)
	if s.ProbesOut > 0 {
		t.text = strconv.AppendInt(t.text, int64(s.ProbesOut), 10)
	}
	t.end()
	t.ago(s.LastSent != nil || s.LastReceived != nil, since(s))
	t.ago(s.LastAck != nil, value(s.LastAck))
	if k := s.KeepaliveTimes; k != nil && k.UserTimeout > 0 {
		t.text = append(t.text, seconds(k.UserTimeout)...)
	}
	t.end()
}

// End writes the table and the totals, and what the marks in it stand for.
func (v *Sockets) End() error {
	text := fmt.Sprintf("%s: %d with keepalive on, %d off, %d unknown", timeline.Count(v.total, "socket"), v.on, v.off, v.unknown)
	if v.orphans > 0 {
		text += fmt.Sprintf(", %d without a process", v.orphans)
	}
	var b bytes.Buffer
	v.opts.paragraph(&b, plain, "", text)
	for i, why := range v.unread.names {
		v.opts.paragraph(&b, plain, mark(i+1)+" ", fmt.Sprintf("%s (%d)", Clean(why), v.unread.count[why]))
	}
	_, err := v.w.Write(v.opts.write(v.table, strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")))
	return err
}

// mark stands in a row for the reason why something is not known of it.
func mark(n int) string { return "?" + strconv.Itoa(n) }

// since is how long ago data went either way.
func since(s *timeline.Socket) timeline.Seconds {
	if s.LastSent == nil || s.LastReceived != nil && *s.LastReceived < *s.LastSent {
		return value(s.LastReceived)
	}
	return *s.LastSent
}

func value(s *timeline.Seconds) timeline.Seconds {
	if s == nil {
		return 0
	}
	return *s
}

// addr puts an address; what has no port is none.
func (t *table) addr(a netip.AddrPort) {
	switch {
	case a.Port() == 0:
	case a.Addr().Zone() != "": // an interface's name may be anything
		t.text = append(t.text, Clean(a.String())...)
	default:
		t.text = a.AppendTo(t.text)
	}
	t.end()
}

// nameWidth is what a table has room for of a program's name: 15 characters,
// unless there are some that have to be spelled out.
const nameWidth = 24

// owner puts "curl[1234] fd 5", and "+2" where two others have the socket too:
// what get, set and poke are told it by.
func (t *table) owner(s *timeline.Socket, uncut bool) {
	if s.PID == 0 || s.FD == nil {
		t.end()
		return
	}
	name := Clean(s.Process)
	if !uncut {
		name = cut(name, nameWidth)
	}
	t.text = fmt.Appendf(t.text, "%s[%d] fd %d", name, s.PID, *s.FD)
	if len(s.Also) > 0 {
		t.text = fmt.Appendf(t.text, " +%d", len(s.Also))
	}
	t.end()
}

// timer puts what runs, and what is left of it.
func (t *table) timer(s *timeline.Socket) {
	if s.Timer != "" {
		t.text = append(t.text, Clean(strings.TrimSuffix(s.Timer, "-probe"))...)
		t.text = appendShort(append(t.text, ' '), time.Duration(s.Expires))
	}
	t.end()
}

func (t *table) ago(known bool, s timeline.Seconds) {
	if known {
		t.text = appendShort(t.text, time.Duration(s))
	}
	t.end()
}

// appendShort writes 12.4s, 2m5s, 1h59m50s or 3d4h: measured times, as narrow as
// a column wants them.
func appendShort(b []byte, d time.Duration) []byte {
	switch {
	case d < 100*time.Second:
		return append(strconv.AppendFloat(b, d.Seconds(), 'f', 1, 64), 's')
	case d < 48*time.Hour:
		return append(b, times.Clock(d.Round(time.Second))...)
	}
	h := int64(d.Round(time.Hour) / time.Hour)
	b = append(strconv.AppendInt(b, h/24, 10), 'd')
	return append(strconv.AppendInt(b, h%24, 10), 'h')
}

// keepalive puts "on 15s/15s/9" (idle, interval, count) or "off", and the mark of
// the reason where that is not known.
func (t *table) keepalive(s *timeline.Socket, why int) {
	k := s.KeepaliveTimes
	switch {
	case s.Orphan:
	case s.Keepalive == nil:
		t.text = append(t.text, mark(why)...)
	case !*s.Keepalive:
		t.text = append(t.text, "off"...)
	case k == nil:
		t.text = append(append(t.text, "on "...), mark(why)...)
	default:
		t.text = fmt.Appendf(t.text, "on %s/%s/%d", seconds(k.Idle), seconds(k.Interval), k.Count)
	}
	t.end()
}

// reasons counts what could not be known, by why.
type reasons struct {
	names []string // in the order in which they came
	count map[string]int
}

// add returns the reason's number, from 1.
func (r *reasons) add(why string) int {
	if r.count == nil {
		r.count = map[string]int{}
	}
	if r.count[why] == 0 {
		r.names = append(r.names, why)
	}
	r.count[why]++
	return slices.Index(r.names, why) + 1
}
