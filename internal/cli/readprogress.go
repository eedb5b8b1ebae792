package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"kax/internal/timeline"
	"kax/internal/view"
)

// readProgress says on a terminal how far a long reading has come.
type readProgress struct {
	in    *input
	to    *os.File // nil where it is not to be said
	begun time.Time
	last  time.Time
	said  bool
}

// Progress is said after the first second, and then so often.
const (
	progressAfter = time.Second
	progressEvery = 200 * time.Millisecond
)

// readProgress speaks where nothing else is written to the terminal meanwhile.
func (a *app) readProgress(in *input, out outputFlags) *readProgress {
	p := &readProgress{in: in, begun: time.Now()}
	p.last = p.begun.Add(progressAfter - progressEvery)
	file, ok := a.stderr.(*os.File)
	if ok && term.IsTerminal(int(file.Fd())) && !in.pipe && (out.summary || !term.IsTerminal(int(a.stdout.Fd()))) {
		p.to = file
	}
	return p
}

// tell says it, when it is time.
func (p *readProgress) tell(packets int) {
	if p.to == nil || time.Since(p.last) < progressEvery {
		return
	}
	p.last, p.said = time.Now(), true
	// ECMA-48: to the first column; what is behind the text goes.
	fmt.Fprintf(p.to, "\r%s\x1b[K", view.Shorten(p.text(packets, p.last.Sub(p.begun)), width(p.to)-1))
}

func (p *readProgress) text(packets int, elapsed time.Duration) string {
	done, err := p.in.file.Seek(0, io.SeekCurrent)
	text := fmt.Sprintf("%s: %s, %s", p.in.name, timeline.Count(packets, "packet"), megabytes(done))
	if err != nil || done == 0 || p.in.size < done {
		return text
	}
	left := time.Duration(float64(elapsed) * float64(p.in.size-done) / float64(done))
	return fmt.Sprintf("%s of %s (%d %%), %d s left", text, megabytes(p.in.size), done*100/p.in.size, int(left.Round(time.Second).Seconds()))
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// end takes the line away.
func (p *readProgress) end() {
	if p.said {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}
