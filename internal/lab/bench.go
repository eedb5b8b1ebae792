package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"kax/internal/capture"
	"kax/internal/timeline"
)

// A Bench is where a lab takes place: hosts, what is captured on each, and one
// timeline of it all. Its methods may be called from any goroutine.
type Bench struct {
	Settings
	Runs []*Run

	ctx     context.Context
	cancel  func(error)
	lab     Lab
	stage   *stage
	group   *capture.Group // nil where packets do not come from hosts
	stopped sync.Once

	mu     sync.Mutex
	hosts  []*Host
	open   map[io.Closer]struct{} // sockets that the lab may not have closed itself
	ends   []func()               // of servers and the like
	checks []timeline.Check

	events  []*timeline.Event
	deaths  []timeline.Death
	numbers map[pair]int  // of connections
	told    chan struct{} // closed, and made anew, with each event
}

// A Run is one of those that a lab compares, with hosts of its own.
type Run struct {
	*Bench
	Variant
	index  int
	links  int
	checks []timeline.Check
}

// newBench is a bench for a lab. The returned function lets go of its context.
func newBench(ctx context.Context, l Lab, set Settings, variants []Variant) (*Bench, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	b := &Bench{
		Settings: set, ctx: ctx, cancel: cancel, lab: l,
		open: map[io.Closer]struct{}{}, numbers: map[pair]int{}, told: make(chan struct{}),
	}
	for i, v := range variants {
		b.Runs = append(b.Runs, &Run{Bench: b, Variant: v, index: i})
	}
	return b, func() { cancel(nil) }
}

// begin begins the timeline.
func (b *Bench) begin(env Env, port uint16, header timeline.Settings) error {
	emit := env.Emit
	env.Emit = func(r timeline.Record) {
		b.hear(r)
		emit(r)
	}
	s, err := openStage(env, port)
	if err != nil {
		return err
	}
	if b.group != nil {
		s.whole, s.count = true, func() (int, error) { return b.total("TCPKeepAlive") }
	}
	s.note = b.lab.note
	b.stage = s
	s.begin(time.Now(), header, nil, b.cancel)
	return nil
}

// Play runs the lab in network namespaces, which takes CAP_SYS_ADMIN and
// CAP_NET_ADMIN, and tells what it has shown. An error says that it could not be
// run to its end.
func (l Lab) Play(ctx context.Context, env Env, set Settings) (*timeline.LabResult, error) {
	variants := []Variant{{}}
	if l.Runs != nil {
		variants = l.Runs(set)
	}
	header, err := l.header(set, variants)
	if err != nil {
		return nil, err
	}
	b, release := newBench(ctx, l, set, variants)
	defer release()
	b.group = new(capture.Group)
	env.Packets, env.Private = b.group, false // the counters are the hosts'
	if err := b.begin(env, 0, header); err != nil {
		return nil, err
	}
	if !l.ownEnd { // what a lab waits for ends with its sockets
		stop := context.AfterFunc(b.ctx, b.closeSockets)
		defer stop()
	}
	began := time.Now()
	limit := cmp.Or(l.Limit, set.limit())
	watch := time.AfterFunc(limit, func() { b.cancel(errEndless) })
	err = l.Run(b)
	watch.Stop()
	lasted := time.Since(began)
	if errors.Is(context.Cause(b.ctx), errEndless) {
		b.Check(false, "What was to come has not come within %v.", limit)
		b.sayStop()
		err = nil
	} else if b.ctx.Err() != nil {
		b.sayStop()
		err = fmt.Errorf("stopped early: %w", context.Cause(b.ctx))
	} else if err == nil && b.anyOpen() {
		b.Step("end", "kax resets what is still open")
	}
	// Connections first: an open one may still probe.
	b.closeSockets()
	for _, end := range slices.Backward(b.ends) {
		end()
	}
	err = errors.Join(err, b.stage.drain())
	result := b.result(lasted)
	if err == nil {
		env.Emit(timeline.Record{Lab: l.Record(result)})
	}
	b.stage.tracker.Conclude(sentences(result.Checks), b.proofs())
	err = errors.Join(err, b.stage.finish(), b.group.Close())
	for _, h := range b.hosts {
		err = errors.Join(err, h.Close())
	}
	return result, err
}

// errEndless ends a lab that waits for what does not happen.
var errEndless = errors.New("it took too long")

// limit is longer than any lab takes: some wait for probes and deaths more than
// once.
func (s Settings) limit() time.Duration {
	t := s.TCP
	return time.Minute + 20*(t.Idle+t.Interval) + time.Duration(t.Count)*t.Interval + 2*(s.IdleTimeout+t.UserTimeout)
}

// result is what the lab has shown.
func (b *Bench) result(lasted time.Duration) *timeline.LabResult {
	checks := []timeline.Check{}
	for _, r := range b.Runs {
		checks = append(checks, r.checks...)
	}
	checks = append(checks, b.checks...)
	return &timeline.LabResult{
		Held:   len(checks) > 0 && !slices.ContainsFunc(checks, func(c timeline.Check) bool { return !c.Held }),
		Checks: checks, Kernel: b.kernel(), Lasted: timeline.Seconds(lasted),
	}
}

func sentences(checks []timeline.Check) []string {
	out := []string{}
	for _, c := range checks {
		out = append(out, c.Text)
	}
	return out
}

// proofs name the connections that each check is about: its run's, and for one of
// all runs none in particular.
func (b *Bench) proofs() (all []timeline.Proof) {
	for _, r := range b.Runs {
		p := timeline.Proof{Conns: r.connections()}
		all = append(all, slices.Repeat([]timeline.Proof{p}, len(r.checks))...)
	}
	return append(all, make([]timeline.Proof, len(b.checks))...)
}

// sayStop says that the run was cut, once.
func (b *Bench) sayStop() {
	b.stopped.Do(func() { b.Step("stop", "the run ends here, and kax closes what is open") })
}

// Step opens a part of the experiment.
func (b *Bench) Step(name, format string, args ...any) { b.stage.step(name, format, args...) }

// Check says what has been seen of all runs, in a sentence with this run's numbers,
// and whether it is what the lab teaches.
func (b *Bench) Check(held bool, format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.checks = append(b.checks, timeline.Check{Text: fmt.Sprintf(format, args...), Held: held})
}

// Check is that of a single run, whose name stands before the sentence. It is for
// the goroutine that takes the run's steps.
func (r *Run) Check(held bool, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if r.Name != "" {
		text = r.Name + ": " + text
	}
	r.checks = append(r.checks, timeline.Check{Text: text, Held: held})
}

// connections are those that the run's hosts have opened.
func (r *Run) connections() (numbers []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, n := range r.numbers {
		if slices.ContainsFunc(r.hosts, func(h *Host) bool { return h.run == r && slices.Contains(h.all, p.a.Addr()) }) && !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// Each takes the same steps in all runs at once.
func (b *Bench) Each(steps func(*Run) error) error {
	errs := make([]error, len(b.Runs))
	var all sync.WaitGroup
	for i, r := range b.Runs {
		all.Go(func() { errs[i] = steps(r) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Sleep lets time pass, and returns an error when the run ends before.
func (b *Bench) Sleep(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	}
}

// Await waits until what f asks for is on the timeline, as a part of the story of
// a connection.
func (b *Bench) Await(of Conn, f func(Story) bool) error {
	for {
		b.mu.Lock()
		told := b.told
		b.mu.Unlock()
		if f(b.story(of)) {
			return nil
		}
		select {
		case <-told:
		case <-b.ctx.Done():
			return context.Cause(b.ctx)
		}
	}
}

// settled waits until everything that has happened by now is on the timeline.
func (b *Bench) settled() {
	done := make(chan struct{})
	b.stage.merge.Now(func(time.Time) { close(done) })
	select {
	case <-done:
	case <-b.ctx.Done():
	}
}

// hear keeps what is told.
func (b *Bench) hear(r timeline.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Death != nil {
		b.deaths = append(b.deaths, *r.Death)
	}
	e := r.Event
	if e == nil {
		return
	}
	b.events = append(b.events, e.Clone())
	if e.Segment != nil {
		p := pair{e.Src, e.Dst}
		if e.Side == timeline.Server {
			p = pair{e.Dst, e.Src}
		}
		b.numbers[p] = e.Conn
	}
	close(b.told)
	b.told = make(chan struct{})
}

func (b *Bench) anyOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.open {
		if c, ok := c.(*net.TCPConn); ok && isEstablished(c) {
			return true
		}
	}
	return false
}

// closeSockets resets what the lab has left open: a goodbye to a peer that is gone
// would be repeated.
func (b *Bench) closeSockets() {
	b.mu.Lock()
	open := slices.Collect(maps.Keys(b.open))
	clear(b.open)
	b.mu.Unlock()
	for _, c := range open {
		if c, ok := c.(*net.TCPConn); ok {
			_ = c.SetLinger(0)
		}
		_ = c.Close() // again, where the lab has
	}
}

// atEnd calls f when the lab is over.
func (b *Bench) atEnd(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ends = append(b.ends, f)
}

// countersHeld are those that labs are held against.
func countersHeld() map[string][]string {
	return map[string][]string{
		"TcpExt": {"TCPKeepAlive", "TCPWinProbe", "TCPTimeouts", "TCPAbortOnTimeout"},
		"Tcp":    {"ActiveOpens", "PassiveOpens", "EstabResets", "RetransSegs", "OutRsts"},
	}
}

// kernel reads the counters of every host.
func (b *Bench) kernel() map[string]map[string]int {
	out := map[string]map[string]int{}
	for _, h := range b.hosts {
		out[h.label] = map[string]int{}
		for group, names := range countersHeld() {
			for _, name := range names {
				if n, err := h.Count(group, name); err == nil {
					out[h.label][name] = n
				}
			}
		}
	}
	return out
}

// total is the sum of a counter of all hosts.
func (b *Bench) total(name string) (sum int, err error) {
	b.mu.Lock()
	hosts := b.hosts
	b.mu.Unlock()
	for _, h := range hosts {
		n, err := h.Count("TcpExt", name)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
