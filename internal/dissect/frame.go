package dissect

import (
	"fmt"
	"strings"
	"time"

	"kax/internal/timeline"
	"kax/internal/wire"
)

// encapsulations are Wireshark's names and numbers for link types.
var encapsulations = map[wire.Link]string{
	wire.Null: "NULL/Loopback (15)", wire.Loop: "OpenBSD loopback (174)", wire.Ethernet: "Ethernet (1)",
	wire.Raw: "Raw IP (7)", wire.RawDLT: "Raw IP (7)", wire.IPv4: "Raw IPv4 (129)", wire.IPv6: "Raw IPv6 (130)",
	wire.SLL: "Linux cooked-mode capture v1 (25)", wire.SLL2: "Linux cooked-mode capture v2 (210)",
}

// frameLayer is what is known of the frame as a whole.
func (d *dissector) frameLayer() timeline.Layer {
	n := len(d.frame)
	l := timeline.Layer{Name: "frame"}
	l.Length = n
	l.Text = "Frame " + fmt.Sprintf("%d: %s on wire (%s), %s captured (%s)", d.Number,
		count(d.Length, "byte"), count(d.Length*8, "bit"), count(n, "byte"), count(n*8, "bit"))
	add := func(to *timeline.Field, format string, args ...any) *timeline.Field {
		to.Fields = append(to.Fields, timeline.Field{Text: fmt.Sprintf(format, args...)})
		return &to.Fields[len(to.Fields)-1]
	}
	if i := d.Interface; i != nil {
		l.Text += fmt.Sprintf(" on interface %s, id %d", i.on(), i.ID)
		add(&l.Field, "Section number: %d", i.Section)
		f := add(&l.Field, "Interface id: %d (%s)", i.ID, i.on())
		add(f, "Interface name: %s", i.on())
		if i.About != "" {
			add(f, "Interface description: %s", i.About)
		}
	}
	add(&l.Field, "Encapsulation type: %s", named(encapsulations, d.Link))
	if !d.Time.IsZero() {
		add(&l.Field, "Arrival Time: %s", d.Time.Format("Jan _2, 2006 15:04:05.000000000 MST"))
		add(&l.Field, "[Time shift for this packet: 0.000000000 seconds]")
		add(&l.Field, "Epoch Time: %d.%09d seconds", d.Time.Unix(), d.Time.Nanosecond())
		add(&l.Field, "[Time delta from previous captured frame: %s]", seconds(d.SincePrevious))
		add(&l.Field, "[Time delta from previous displayed frame: %s]", seconds(d.SincePrevious))
		add(&l.Field, "[Time since reference or first frame: %s]", seconds(d.SinceFirst))
	}
	add(&l.Field, "Frame Number: %d", d.Number)
	add(&l.Field, "Frame Length: %s (%s)", count(d.Length, "byte"), count(d.Length*8, "bit"))
	add(&l.Field, "Capture Length: %s (%s)", count(n, "byte"), count(n*8, "bit"))
	add(&l.Field, "[Frame is marked: False]")
	add(&l.Field, "[Frame is ignored: False]")
	add(&l.Field, "[Protocols in frame: %s]", strings.Join(d.protocols, ":"))
	return l
}

// seconds writes a time as Wireshark does, which has nanoseconds throughout.
func seconds(t time.Duration) string {
	sign := ""
	if t < 0 {
		sign, t = "-", -t
	}
	return fmt.Sprintf("%s%d.%09d seconds", sign, t/time.Second, t%time.Second)
}
