package httpka

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// The ladder, and how its gaps are searched. A rung finds a loss after at most
// ladderStep times the timeout, and the refinement ends the timeout and an
// answerBound later, so all of it takes less than 2.5 timeouts.
const (
	ladderStart = 550 * time.Millisecond // not at a whole second, where timeouts are
	ladderStep  = 1.2
	ladderDelay = 0.02 // of its idle time: when a rung begins; not all at once
	refinements = 16   // connections
	stragglers  = 1.15 // times the first sample's: what the others are waited for
)

// An idleHunt is a run of an [IdleFinder]. Its loop alone touches what is here.
type idleHunt struct {
	f       IdleFinder
	a       *approach
	begun   time.Time
	samples []*idler
	rungs   []*idler // growing, and those of refinements
	later   []*idler // rungs that have not begun, growing
	round   int      // refinements so far
	lo, hi  time.Duration
	stopped bool // no more is to be waited for
	result  IdleResult

	events chan idlerEvent
	all    sync.WaitGroup
}

func newIdleHunt(f IdleFinder, a *approach) *idleHunt {
	h := &idleHunt{f: f, a: a, begun: time.Now(), events: make(chan idlerEvent)}
	for wake := ladderStart; wake < f.Enough; wake = time.Duration(float64(wake) * ladderStep) {
		h.later = append(h.later, &idler{wake: wake})
	}
	for range f.Samples {
		h.samples = append(h.samples, &idler{sample: true, wake: f.Enough})
	}
	return h
}

func (h *idleHunt) run(ctx context.Context) (IdleResult, error) {
	inner, cancel := context.WithCancel(ctx)
	defer h.all.Wait()
	defer cancel()
	h.result.How = IdleNone

	// The first sample goes ahead: what is wrong shows by it, and the others go
	// to the same address.
	h.start(inner, h.samples[0])
	scout := true
	stop := h.f.Stop
	giveUp := time.NewTimer(h.f.GiveUpAfter)
	defer giveUp.Stop()
	next := time.NewTimer(time.Hour)
	defer next.Stop()
	for {
		select {
		case e := <-h.events:
			h.apply(e)
			if scout && h.samples[0].state != idlerOpening {
				if e.err != nil && ctx.Err() == nil {
					return h.conclude(), e.err
				} else if e.err != nil {
					return h.conclude(), context.Cause(ctx)
				}
				scout = false
				h.settle(e)
				for _, i := range h.samples[1:] {
					h.start(inner, i)
				}
			}
		case <-next.C:
		case <-giveUp.C:
			h.halt()
		case <-stop:
			stop = nil
			h.halt()
		case <-ctx.Done():
			return h.conclude(), context.Cause(ctx)
		}
		if scout {
			continue
		}
		if !h.stopped {
			h.climb(inner)
			h.refine(inner)
		}
		if h.decided() {
			return h.conclude(), nil
		}
		h.f.OnProgress(h.progress())
		next.Reset(h.pause())
	}
}

func (h *idleHunt) start(ctx context.Context, i *idler) {
	h.all.Go(func() {
		h.a.run(ctx, i, func(e idlerEvent) {
			select {
			case h.events <- e:
			case <-ctx.Done():
			}
		})
	})
}

// settle remembers what the first connection has found.
func (h *idleHunt) settle(e idlerEvent) {
	h.result.Announced, h.result.Status = e.first.KeepAlive, e.first.Status
	h.result.Server = e.conn.RemoteAddr()
	if h.result.Server != nil && h.result.Server.Network() == "tcp" {
		h.a.address = h.result.Server.String()
	}
}

func (h *idleHunt) apply(e idlerEvent) {
	i := e.idler
	i.state, i.end, i.say = e.state, e.end, e.say
	if e.state == idlerSilent {
		i.conn, i.start = e.conn, e.at
		if h.stopped {
			h.ask(i)
		}
		return
	}
	i.idle = e.idle
	// What a server closes in the moment of the second request has ended like
	// any other that it closes.
	if i.sample && e.state == idlerLost && e.say == "closed" {
		i.state, i.end = idlerEnded, IdleFIN
	}
	// A search for a loss that meets ends instead has found more samples.
	if i.fine > 0 && i.state == idlerEnded {
		h.samples = append(h.samples, i)
		h.rungs = slices.DeleteFunc(h.rungs, func(r *idler) bool { return r == i })
	}
}

// halt asks the silent samples now, and begins nothing more.
func (h *idleHunt) halt() {
	if h.stopped {
		return
	}
	h.stopped = true
	h.later = nil
	var shortest time.Duration
	for _, i := range h.samples {
		if i.state == idlerSilent {
			if idle := time.Since(i.start); shortest == 0 || idle < shortest {
				shortest = idle
			}
		}
	}
	for _, i := range h.samples {
		if i.state == idlerSilent {
			i.wake = min(i.wake, shortest) // they count as one rung
			h.ask(i)
		}
	}
}

// ask ends a silence. The connection's own deadlines are later ones.
func (h *idleHunt) ask(i *idler) { _ = i.conn.SetReadDeadline(time.Now()) }

// climb begins the rungs that are due.
func (h *idleHunt) climb(ctx context.Context) {
	for len(h.later) > 0 && time.Since(h.begun) >= delay(h.later[0]) {
		h.rungs = append(h.rungs, h.later[0])
		h.start(ctx, h.later[0])
		h.later = h.later[1:]
	}
}

func delay(i *idler) time.Duration { return time.Duration(float64(i.wake) * ladderDelay) }

// pause is the time to what the loop has to do without being told.
func (h *idleHunt) pause() time.Duration {
	d := time.Hour
	if len(h.later) > 0 {
		d = min(d, delay(h.later[0])-time.Since(h.begun))
	}
	if first := h.firstEnd(); first > 0 {
		for _, i := range h.samples {
			if i.state == idlerSilent {
				d = min(d, time.Until(i.start.Add(patienceAfter(first))))
			}
		}
	}
	return max(d, 0)
}

func patienceAfter(first time.Duration) time.Duration {
	return time.Duration(float64(first) * stragglers)
}

// asked returns every connection that is sent a second request, growing by
// their idle times.
func (h *idleHunt) asked() []*idler {
	list := slices.Concat(h.rungs, h.samples)
	slices.SortStableFunc(list, func(a, b *idler) int { return cmp.Compare(a.wake, b.wake) })
	return list
}

// lasted is the longest idle time after which a request was answered.
func (h *idleHunt) lasted() (longest *idler) {
	for _, i := range h.asked() {
		if i.state == idlerAnswered {
			longest = i
		}
	}
	return longest
}

// lost is the shortest idle time after which a request has no answer so far,
// among those that are longer than any with one: an answer after a longer
// silence shows that something else has delayed the shorter one's.
func (h *idleHunt) lost() *idler {
	var over time.Duration
	if longest := h.lasted(); longest != nil {
		over = longest.wake
	}
	for _, i := range h.asked() {
		if (i.state == idlerLost || i.state == idlerSuspect) && i.wake > over {
			return i
		}
	}
	return nil
}

// refine sends connections between the last rung that was answered and the
// first that was not, as soon as there is one.
func (h *idleHunt) refine(ctx context.Context) {
	bad := h.lost()
	if bad == nil {
		h.hi = 0
		return
	}
	if bad.fine > 0 && bad.fine == h.round && h.hi > 0 {
		return // it lies in the gap that is being searched
	}
	if h.hi == bad.wake {
		return
	}
	h.lo, h.hi = 0, bad.wake
	if good := h.lasted(); good != nil {
		h.lo = good.wake
	}
	h.round++
	for n := range refinements {
		i := &idler{fine: h.round, wake: h.lo + (h.hi-h.lo)*time.Duration(n+1)/refinements}
		h.rungs = append(h.rungs, i)
		h.start(ctx, i)
	}
}

// firstEnd is the shortest time after which a sample has ended, or 0.
func (h *idleHunt) firstEnd() (first time.Duration) {
	for _, i := range h.samples {
		if i.state == idlerEnded && i.end != IdleSilent && (first == 0 || i.idle < first) {
			first = i.idle
		}
	}
	return first
}
