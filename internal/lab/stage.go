package lab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"kax/httpka"
	"kax/internal/capture"
	"kax/internal/counters"
	"kax/internal/netns"
	"kax/internal/timeline"
	"kax/internal/wire"
)

const (
	// settle is how long things wait for their place on the timeline: longer
	// than the kernel takes from stamping a packet to showing it.
	settle = 50 * time.Millisecond
	// settlePipe is the same for what another program captures: tcpdump gets its
	// packets from the kernel a second late, if it is not told otherwise. The
	// header of the run says how long it is.
	settlePipe = 1200 * time.Millisecond
	// readEvery is how often an idle stage looks for packets that are done
	// waiting.
	readEvery = 20 * time.Millisecond
	// pollEvery is how often the counters are read.
	pollEvery = 5 * time.Millisecond
)

// A stage is where an experiment takes place: it gathers packets and what the
// programs tell into one timeline.
type stage struct {
	env     Env
	settle  time.Duration
	merge   timeline.Merge
	tracker *timeline.Tracker
	watcher counters.Watcher // used without packets
	writer  *capture.Writer  // or nil
	owned   sync.Map         // pair of each connection that belongs to the run
	dials   dials
	once    capture.Once
	note    func(payload []byte) string // says something of a packet; may be nil

	released time.Time // up to when everything has been told
	failed   func(error)
	writeErr error // of the writer; ends the run
	dry      bool  // no more packets will come
	packets  int
	whole    bool                // all packets are numbered and written, not only those on the timeline
	count    func() (int, error) // the kernel's count of probes; nil where others probe too
	probes   int                 // the same at the start

	stop chan time.Time // the moment after which nothing more belongs to the run
	done chan error
}

// pair names a connection, client first, or a direction of one, sender first.
type pair struct{ a, b netip.AddrPort }

// openStage begins to gather everything about a server's port. Connections may
// then be opened; the timeline is there from begin on.
func openStage(env Env, port uint16) (*stage, error) {
	s := &stage{env: env, settle: settle, stop: make(chan time.Time, 1), done: make(chan error, 1)}
	if env.Source == timeline.Pipe {
		s.settle = settlePipe
	}
	if env.Private {
		s.count = func() (int, error) { return netns.Counter("TcpExt", "TCPKeepAlive") }
		n, err := s.count()
		if err != nil {
			return nil, err
		}
		s.probes = n
	}
	if env.Write != "" {
		w, err := capture.Create(env.Write, "kax "+env.Version, env.interfaceName)
		if err != nil {
			return nil, err
		}
		s.writer = w
	}
	if live, ok := env.Packets.(*capture.Live); ok {
		f := capture.Filter{Interface: env.On}
		if port != 0 {
			f.Ports = []uint16{port}
		}
		if err := live.Start(f); err != nil {
			return nil, errors.Join(err, s.closeWriter())
		}
	}
	return s, nil
}

// begin begins the timeline at a moment, with a plan where there is one. It
// calls failed where the stage can go on no longer.
func (s *stage) begin(at time.Time, settings timeline.Settings, plan *timeline.Plan, failed func(error)) {
	s.tracker = timeline.NewTracker(timeline.Header{
		Version: s.env.Version, Command: s.env.Command, Started: at.Round(0),
		Source: s.env.Source, Settings: settings,
	}, s.env.Emit)
	if plan != nil {
		s.env.Emit(timeline.Record{Plan: plan})
	}
	s.failed = failed
	go func() {
		err := s.pump()
		if err != nil {
			failed(err)
		}
		s.done <- err
	}()
}

// close ends the timeline when everything that has happened by now is on it.
// All connections should be closed: an open one may still probe.
func (s *stage) close() error { return errors.Join(s.drain(), s.finish()) }

// drain puts everything that has happened by now on the timeline.
func (s *stage) drain() error {
	s.stop <- time.Now()
	err := <-s.done
	s.merge.Drain() // also what was gathered before an error
	return err
}

// finish sums up, after drain.
func (s *stage) finish() error {
	var errs []error
	dropped := 0
	if s.env.Packets != nil {
		n, err := s.env.Packets.Dropped()
		errs = append(errs, err)
		dropped = n
	}
	var kernelProbes *int
	if s.count != nil {
		n, err := s.count()
		if err == nil {
			n -= s.probes
			kernelProbes = &n
		}
		errs = append(errs, err)
	}
	s.tracker.Finish(dropped, kernelProbes)
	if closeErr := s.closeWriter(); s.writeErr == nil {
		errs = append(errs, closeErr)
	}
	return errors.Join(errs...)
}

func (s *stage) closeWriter() error {
	if s.writer == nil {
		return nil
	}
	return s.writer.Close()
}

// step opens a part of the experiment.
func (s *stage) step(name, format string, args ...any) {
	s.merge.Now(func(at time.Time) { s.tracker.Step(at, name, fmt.Sprintf(format, args...)) })
}

// own makes a connection part of the experiment. Whoever else uses the server
// meanwhile is not.
func (s *stage) own(client, server netip.AddrPort) {
	s.owned.Store(pair{client, server}, nil)
}

func (s *stage) owns(client, server netip.AddrPort) bool {
	_, ok := s.owned.Load(pair{client, server})
	return ok
}

// http takes what a program tells. The stage's clock stamps it, so that
// nothing which happens later can be released before it.
func (s *stage) http(e httpka.Event) {
	s.merge.Now(func(at time.Time) {
		if s.owns(e.Client, e.Server) {
			s.tracker.HTTP(at, e)
		}
	})
}

// served is http for a server whose client tells its part.
func (s *stage) served(e httpka.Event) {
	switch e.Kind { // what a client tells too, and what is no message
	case httpka.Response, httpka.Interim, httpka.Upgrade, httpka.IdleClose:
		s.http(e)
	}
}

// httpAt is http for what was told after it happened, at a moment that is not
// later than its packet's.
func (s *stage) httpAt(at time.Time, e httpka.Event) {
	s.merge.At(at, func(at time.Time) {
		if s.owns(e.Client, e.Server) {
			s.tracker.HTTP(at, e)
		}
	})
}

// watch gives a connection to the counters, where they are all there is.
func (s *stage) watch(c net.Conn, dialed bool) (net.Conn, error) {
	if s.env.Source != timeline.Counters {
		return c, nil
	}
	wc, err := s.watcher.Watch(c.(*net.TCPConn), dialed)
	if err != nil {
		c.Close()
		return nil, err
	}
	return wc, nil
}

// pump feeds the timeline until the stage is closed.
func (s *stage) pump() error {
	var (
		end    time.Time
		ending bool
	)
	for {
		now := s.merge.Clock()
		if err := s.gather(); err != nil {
			return err
		}
		s.released = s.dials.hold(now.Add(-s.settle), now)
		s.merge.Release(s.released)
		if ending && now.Add(-s.settle).After(end) {
			return nil
		}
		if s.writer != nil && s.writeErr == nil {
			s.writeErr = s.writer.Flush() // for someone who reads it while it grows
		}
		if s.writeErr != nil {
			return s.writeErr
		}
		select {
		case end = <-s.stop:
			ending = true
		default:
		}
		if err := s.wait(); err != nil {
			return err
		}
	}
}

// gather takes everything there is to read.
func (s *stage) gather() error {
	if s.env.Packets == nil {
		for _, o := range s.watcher.Poll() {
			s.merge.At(o.Time, func(at time.Time) { s.infer(at, o) })
		}
		return nil
	}
	for {
		ok, err := s.next(0)
		if !ok || err != nil {
			return err
		}
	}
}

// wait returns after a moment, or with the first packet.
func (s *stage) wait() error {
	if s.env.Packets == nil {
		time.Sleep(pollEvery)
		return nil
	}
	_, err := s.next(readEvery)
	return err
}

// next takes one packet. When there are no more, the run has failed, but what
// has been gathered is still to be told.
func (s *stage) next(wait time.Duration) (bool, error) {
	if s.dry {
		time.Sleep(wait)
		return false, nil
	}
	p, ok, err := s.env.Packets.Next(wait)
	if errors.Is(err, io.EOF) {
		s.dry = true
		s.failed(errors.New("the packets have ended: whoever captures them has stopped"))
		return false, nil
	}
	if ok {
		s.keep(p)
	}
	return ok, err
}

// keep gives a packet its place.
func (s *stage) keep(p capture.Packet) {
	var seg wire.Segment
	if wire.Decode(p.Link, p.Data, &seg) != nil {
		return
	}
	p.Data = slices.Clone(p.Data)
	note := ""
	if s.note != nil {
		note = s.note(seg.Payload)
	}
	seg.Payload = nil
	late := p.Time.Before(s.released)
	s.merge.At(p.Time, func(at time.Time) {
		if s.whole {
			s.packets++
			s.write(p)
		}
		// Only now: a connection's first packets come before its dialler knows
		// the address.
		if !s.owns(seg.Src, seg.Dst) && !s.owns(seg.Dst, seg.Src) {
			return
		}
		if !s.once.First(p.Interface, at, seg.Src, seg.Dst) {
			return
		}
		if !s.whole {
			s.packets++
			s.write(p)
		}
		if late {
			note = "too late for its place: captured before"
		}
		s.tracker.Mark(note)
		if s.env.Frames {
			s.tracker.Frame(p.Link, p.Data, p.Length)
		}
		s.tracker.Packet(at, s.packets, &seg)
	})
}

func (s *stage) write(p capture.Packet) {
	if s.writer != nil && s.writeErr == nil {
		s.writeErr = s.writer.Write(p)
	}
}

func (s *stage) infer(at time.Time, o counters.Observation) {
	i := timeline.Inferred{Client: o.From, Server: o.To, Kind: o.Kind, Note: o.Detail, Blur: o.Blur}
	if s.owns(o.To, o.From) {
		i.Client, i.Server, i.FromServer = o.To, o.From, true
	} else if !s.owns(o.From, o.To) {
		return
	}
	s.tracker.Infer(at, i)
}
