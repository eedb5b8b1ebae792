package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"kax/internal/capture"
	"kax/internal/counters"
	"kax/internal/netns"
	"kax/internal/timeline"
)

// place is where a run takes place: a rung of the ladder.
type place struct {
	source  timeline.Source
	private bool           // in a network namespace of its own
	packets capture.Source // nil with counters
}

// climb calls run on the best rung that is asked for and permitted:
//
//	af_packet  capture on the host's network, or with --netns in a new one
//	userns     run kax again in a user and network namespace of its own, unless
//	           the run needs the host's network
//	pipe       what another program captures, where that is asked for
//	counters   no packets
//
// Each failure to get a rung is said, for whoever wonders at the next.
func (a *app) climb(f packetFlags, run func(place) error) error {
	if a.child != nil {
		return a.inside(run)
	}
	if f.packets != "" {
		return a.fromFile(f.packets, run)
	}
	var refusals []error
	wants := func(s timeline.Source) bool { return f.source == sourceAuto || f.source == string(s) }

	if wants(timeline.AFPacket) && !f.netns {
		live, err := capture.OpenLive()
		if err == nil {
			return run(place{source: timeline.AFPacket, packets: live})
		}
		refusals = append(refusals, err)
	}
	if wants(timeline.UserNS) && !f.host || f.netns {
		code, err := netns.Run(f.source == string(timeline.UserNS))
		if err == nil {
			return silent(code)
		}
		if !errors.Is(err, netns.ErrRefused) {
			return err
		}
		refusals = append(refusals, err)
	}
	if wants(timeline.Counters) && !f.netns {
		switch err := counters.Supported(); {
		case err != nil:
			refusals = append(refusals, err)
		case f.write != "":
			refusals = append(refusals, errors.New("--write needs packets"))
		default:
			for _, err := range refusals {
				fmt.Fprintf(a.stderr, "kax: no packets this way: %v\n", err)
			}
			return run(place{source: timeline.Counters})
		}
	}
	if f.without && f.source == sourceAuto && f.write == "" {
		for _, err := range refusals {
			fmt.Fprintf(a.stderr, "kax: no packets this way: %v\n", err)
		}
		return run(place{})
	}
	return f.refused(refusals)
}

// fromFile takes packets from another program.
func (a *app) fromFile(name string, run func(place) error) error {
	in, called := os.Stdin, "standard input"
	if name != "-" {
		f, err := os.Open(name) // waits for the writer of a FIFO
		if err != nil {
			return err // names the file
		}
		defer f.Close()
		in, called = f, name
	}
	var from io.Reader = in
	stat, err := in.Stat()
	if err == nil && stat.Mode().IsRegular() {
		from = growing{in}
	}
	packets := capture.NewReader(from, called)
	runErr := run(place{source: timeline.Pipe, packets: packets})
	if _, _, ended := packets.Next(0); ended == nil && name == "-" && err == nil && stat.Mode()&os.ModeNamedPipe != 0 {
		// It notices only when it writes (SIGPIPE, pipe(7)).
		fmt.Fprintln(a.stderr, "kax: done; what writes to this pipe ends with its next packet, or with ^C")
	}
	return runErr
}

// growing is a file that another program still writes: its end is not the end.
type growing struct{ file *os.File }

// growth is how often it is looked for.
const growth = 20 * time.Millisecond

// Read waits for more until the file is closed.
func (g growing) Read(b []byte) (int, error) {
	for {
		n, err := g.file.Read(b)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		time.Sleep(growth)
	}
}

// refused says what would have helped.
func (f packetFlags) refused(refusals []error) error {
	err := refusals[0]
	for _, more := range refusals[1:] {
		err = fmt.Errorf("%w; %w", err, more)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return withHint(unable(err), "this takes Linux; kax http serve runs here")
	}
	if f.host { // a namespace of its own is no help
		return withHint(unable(err), "packets need CAP_NET_RAW (sudo kax …), or another program that captures them (--packets); --source counters needs neither")
	}
	return withHint(unable(err), "packets need CAP_NET_RAW (sudo kax …) or leave to make user namespaces; --source counters needs neither")
}

// inside runs in the namespace that kax has made for itself, if what the run
// needs can be had there.
func (a *app) inside(run func(place) error) error {
	live, err := openInside()
	if readyErr := a.child.Ready(err); err != nil || readyErr != nil {
		return silent(exitUnable) // the parent goes on, or is gone
	}
	p := place{source: timeline.AFPacket, private: true, packets: live}
	if a.child.UserNS {
		p.source = timeline.UserNS
	}
	return run(p)
}

func openInside() (*capture.Live, error) {
	if err := netns.LoopbackUp(); err != nil {
		return nil, err
	}
	return capture.OpenLive()
}
