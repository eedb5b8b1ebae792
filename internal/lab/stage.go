package lab

import (
	"errors"
	"fmt"
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
	server  netip.AddrPort
	merge   timeline.Merge
	tracker *timeline.Tracker
	watcher counters.Watcher // used without packets
	writer  *capture.Writer  // or nil
	clients sync.Map         // netip.AddrPort of each connection's client

	writeErr error // of the writer; ends the run
	packets  int
	probes   int // the kernel's count at the start

	stop chan time.Time // the moment after which nothing more belongs to the run
	done chan error
}

// openStage begins the timeline: everything about the server's address from
// now on. It calls failed where it can go on no longer.
func openStage(env Env, server netip.AddrPort, settings timeline.Settings, failed func(error)) (*stage, error) {
	s := &stage{env: env, server: server, stop: make(chan time.Time, 1), done: make(chan error, 1)}
	if env.Private {
		n, err := netns.Counter("TcpExt", "TCPKeepAlive")
		if err != nil {
			return nil, err
		}
		s.probes = n
	}
	if env.Write != "" {
		w, err := capture.Create(env.Write, loopback, "kax "+env.Version)
		if err != nil {
			return nil, err
		}
		s.writer = w
	}
	if env.Live != nil {
		if err := env.Live.Start(capture.Filter{Interface: loopback, Port: server.Port()}); err != nil {
			return nil, errors.Join(err, s.closeWriter())
		}
	}
	s.tracker = timeline.NewTracker(timeline.Header{
		Version: env.Version, Command: env.Command, Started: time.Now().Round(0),
		Source: env.Source, Settings: settings,
	}, env.Emit)
	go func() {
		err := s.pump()
		if err != nil {
			failed(err)
		}
		s.done <- err
	}()
	return s, nil
}

// close ends the timeline when everything that has happened by now is on it.
// All connections should be closed: an open one may still probe.
func (s *stage) close() error {
	s.stop <- time.Now()
	errs := []error{<-s.done}
	s.merge.Drain() // also what was gathered before an error
	dropped := 0
	if s.env.Live != nil {
		n, err := s.env.Live.Dropped()
		errs = append(errs, err)
		dropped = n
	}
	var kernelProbes *int
	if s.env.Private {
		n, err := netns.Counter("TcpExt", "TCPKeepAlive")
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

// own makes a client's address part of the experiment. Whoever else uses the
// server meanwhile is not.
func (s *stage) own(client net.Addr) {
	s.clients.Store(addrPort(client), nil)
}

func (s *stage) owns(client netip.AddrPort) bool {
	_, ok := s.clients.Load(client)
	return ok
}

// http takes what a program tells. The stage's clock stamps it, so that
// nothing which happens later can be released before it.
func (s *stage) http(e httpka.Event) {
	s.merge.Now(func(at time.Time) {
		if s.owns(e.Client) {
			s.tracker.HTTP(at, e)
		}
	})
}

// watch gives a connection to the counters, where they are all there is.
func (s *stage) watch(c net.Conn, dialed bool) (net.Conn, error) {
	if s.env.Live != nil {
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
		s.merge.Release(now.Add(-settle))
		if ending && now.Add(-settle).After(end) {
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
	if s.env.Live == nil {
		for _, o := range s.watcher.Poll() {
			s.merge.At(o.Time, func(at time.Time) { s.infer(at, o) })
		}
		return nil
	}
	for {
		p, ok, err := s.env.Live.Next(0)
		if !ok || err != nil {
			return err
		}
		s.keep(p)
	}
}

// wait returns after a moment, or with the first packet.
func (s *stage) wait() error {
	if s.env.Live == nil {
		time.Sleep(pollEvery)
		return nil
	}
	p, ok, err := s.env.Live.Next(readEvery)
	if ok {
		s.keep(p)
	}
	return err
}

// keep gives a packet its place.
func (s *stage) keep(p capture.Packet) {
	var seg wire.Segment
	if wire.DecodeEthernet(p.Data, &seg) != nil {
		return
	}
	client := seg.Src
	if client == s.server {
		client = seg.Dst
	} else if seg.Dst != s.server {
		return // the port, on another address
	}
	p.Data = slices.Clone(p.Data)
	seg.Payload = nil
	s.merge.At(p.Time, func(at time.Time) {
		// Only now: a connection's first packets come before its dialler knows
		// the address.
		if !s.owns(client) {
			return
		}
		s.packets++
		s.tracker.Packet(at, s.packets, &seg)
		if s.writer != nil && s.writeErr == nil {
			s.writeErr = s.writer.Write(p)
		}
	})
}

func (s *stage) infer(at time.Time, o counters.Observation) {
	if !s.owns(o.From) && !s.owns(o.To) {
		return
	}
	i := timeline.Inferred{Client: o.From, Server: o.To, Kind: o.Kind, Note: o.Detail}
	if o.From == s.server {
		i.Client, i.Server, i.FromServer = o.To, o.From, true
	}
	s.tracker.Infer(at, i)
}
