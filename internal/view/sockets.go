package view

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"kax/internal/timeline"
)

// Sockets shows socket records as a table, when its end is told.
type Sockets struct {
	w       io.Writer
	opts    Options
	table   *table
	total   int
	on, off int
	unread  reasons
}

// NewSockets returns a view that writes to w.
func NewSockets(w io.Writer, o Options) *Sockets {
	return &Sockets{w: w, opts: o, table: newTable(
		column{name: "state"}, column{name: "local"}, column{name: "peer"}, column{name: "keepalive"},
		column{name: "timer"}, column{name: "left", right: true}, column{name: "probes", right: true},
		column{name: "data", right: true}, column{name: "ack", right: true},
		column{name: "pid", right: true}, column{name: "process"}, column{name: "fd", right: true}, column{name: "note"},
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
	t := v.table
	t.put(s.State)
	t.addr(s.Local)
	t.addr(s.Peer)
	t.keepalive(s)
	t.put(s.Timer)
	t.ago(s.Timer != "", s.Expires)
	t.text = strconv.AppendInt(t.text, int64(s.ProbesOut), 10)
	t.end()
	t.ago(s.LastSent != nil || s.LastReceived != nil, since(s))
	t.ago(s.LastAck != nil, value(s.LastAck))
	t.owner(s)
	t.put(note(s))
	v.total++
	switch {
	case s.Keepalive == nil:
		v.unread.add(s.Unread)
	case *s.Keepalive:
		v.on++
	default:
		v.off++
	}
}

// End writes the table and the totals.
func (v *Sockets) End() error {
	text := fmt.Sprintf("%s: %d with keepalive on, %d off, %d unknown", timeline.Count(v.total, "socket"), v.on, v.off, v.unread.total)
	if v.unread.total > 0 {
		text += " (" + v.unread.String() + ")"
	}
	var b strings.Builder
	v.opts.paragraph(&b, plain, "", text)
	_, err := v.w.Write(v.opts.write(v.table, strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")))
	return err
}

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

// owner puts three cells: process number, name and descriptor.
func (t *table) owner(s *timeline.Socket) {
	if s.PID == 0 || s.FD == nil {
		t.end()
		t.end()
		t.end()
		return
	}
	t.text = strconv.AppendInt(t.text, int64(s.PID), 10)
	t.end()
	t.text = append(t.text, Clean(s.Process)...)
	if len(s.Also) > 0 {
		t.text = append(t.text, " +"...)
		t.text = strconv.AppendInt(t.text, int64(len(s.Also)), 10)
	}
	t.end()
	t.text = strconv.AppendInt(t.text, int64(*s.FD), 10)
	t.end()
}

func (t *table) ago(known bool, s timeline.Seconds) {
	if known {
		t.text = appendShort(t.text, time.Duration(s))
	}
	t.end()
}

// appendShort writes 12.4s, 2m5s, 1h59m50s or 3d4h.
func appendShort(b []byte, d time.Duration) []byte {
	switch {
	case d < 100*time.Second:
		return append(strconv.AppendFloat(b, d.Seconds(), 'f', 1, 64), 's')
	case d < 48*time.Hour:
		return append(b, d.Round(time.Second).String()...)
	}
	h := int64(d.Round(time.Hour) / time.Hour)
	b = append(strconv.AppendInt(b, h/24, 10), 'd')
	return append(strconv.AppendInt(b, h%24, 10), 'h')
}

// keepalive puts "on 15s/15s/9" (idle, interval, count), "on" where only that is
// known, "off", or "?".
func (t *table) keepalive(s *timeline.Socket) {
	k := s.KeepaliveTimes
	switch {
	case s.Keepalive == nil:
		t.text = append(t.text, '?')
	case !*s.Keepalive:
		t.text = append(t.text, "off"...)
	case k == nil:
		t.text = append(t.text, "on ?"...)
	default:
		t.text = append(append(t.text, "on "...), whole(k.Idle)...)
		t.text = append(append(t.text, '/'), whole(k.Interval)...)
		t.text = strconv.AppendInt(append(t.text, '/'), int64(k.Count), 10)
	}
	t.end()
}

// note is what a row has no column for: why something could not be read, or a
// user timeout, which few sockets have.
func note(s *timeline.Socket) string {
	if k := s.KeepaliveTimes; k != nil && k.UserTimeout > 0 {
		return "user timeout " + whole(k.UserTimeout)
	}
	return s.Unread
}

// whole writes seconds as sysctl does, with what they have behind the point.
func whole(s timeline.Seconds) string {
	return strconv.FormatFloat(time.Duration(s).Seconds(), 'f', -1, 64) + "s"
}

// reasons counts what could not be known, by why.
type reasons struct {
	total int
	names []string // in the order in which they came
	count map[string]int
}

func (r *reasons) add(why string) {
	if r.count == nil {
		r.count = map[string]int{}
	}
	if r.count[why] == 0 {
		r.names = append(r.names, why)
	}
	r.count[why]++
	r.total++
}

func (r *reasons) String() string {
	texts := make([]string, len(r.names))
	for i, why := range r.names {
		texts[i] = fmt.Sprintf("%d: %s", r.count[why], Clean(why))
	}
	return strings.Join(texts, "; ")
}
