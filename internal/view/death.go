package view

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"kax/internal/timeline"
)

// death says what the program of a connection saw of its end.
func (o Options) death(b *bytes.Buffer, d *timeline.Death) {
	read := Clean(d.Text)
	if d.Errno != "" {
		read = fmt.Sprintf("%s (%s)", Clean(d.Errno), Clean(d.Text))
	}
	text := "the program reads: " + read
	if d.Then != "" {
		text += ", then " + Clean(d.Then)
	}
	if d.Write != "" {
		text += "; writes: " + Clean(d.Write)
	}
	if len(d.Poll) > 0 {
		text += "; poll: " + Clean(strings.Join(d.Poll, "|"))
	}
	o.paragraph(b, red, fmt.Sprintf("%8.3f  %4s ", time.Duration(d.At).Seconds(), fmt.Sprintf("#%d", d.Conn)), text)
}
