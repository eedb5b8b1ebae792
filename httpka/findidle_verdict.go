package httpka

import (
	"cmp"
	"slices"
	"time"
)

// decided reports that there is nothing more to wait for.
func (h *idleHunt) decided() bool {
	waiting := 0
	first := h.firstEnd()
	for _, i := range h.samples {
		switch i.state {
		case idlerOpening:
			waiting++
		case idlerSilent:
			if first == 0 || h.stopped || time.Since(i.start) < patienceAfter(first) {
				waiting++
			}
		case idlerSuspect:
			waiting++
		}
	}
	bad := h.lost()
	if bad == nil || first > 0 && float64(bad.idle) > float64(first)*0.9 {
		return waiting == 0
	}
	if h.stopped {
		return waiting == 0 && bad.state == idlerLost
	}
	// The gap has been searched up to the first that is lost, or in vain.
	if bad.state != idlerLost {
		return false
	}
	for _, i := range h.rungs {
		if i.fine == h.round && (i.wake < bad.wake || bad.fine == 0) && (i.state == idlerOpening || i.state == idlerSilent || i.state == idlerSuspect) {
			return false
		}
	}
	return true
}

// conclude says what is known now.
func (h *idleHunt) conclude() IdleResult {
	r := h.result
	r.Waited = time.Since(h.begun)
	first := h.firstEnd()
	var ended []*idler
	for _, i := range h.samples {
		switch i.state {
		case idlerEnded:
			ended = append(ended, i)
		case idlerLost:
			r.Unanswered++
		case idlerFailed:
			r.Failed++
		case idlerSilent, idlerSuspect:
			r.Remaining++
		}
	}
	good, bad := h.lasted(), h.lost()
	if good != nil {
		r.AtLeast = good.idle
	}
	switch {
	case bad != nil && bad.state == idlerLost && (first == 0 || float64(bad.idle) <= float64(first)*0.9):
		r.How, r.Answer = IdleSilent, bad.say
		r.Timeout, r.Spread = (r.AtLeast+bad.idle)/2, bad.idle-r.AtLeast
		r.Unanswered, r.Remaining, r.Failed = 0, 0, 0
		for _, i := range h.asked() {
			if i.state == idlerAnswered || i.state == idlerLost {
				r.Samples++
			}
		}
	case len(ended) > 0:
		slices.SortFunc(ended, func(a, b *idler) int { return cmp.Compare(a.idle, b.idle) })
		n := len(ended)
		r.How, r.Samples = mostly(ended), n
		r.Timeout = (ended[n/2].idle + ended[(n-1)/2].idle) / 2
		r.Spread, r.AtLeast = ended[n-1].idle-ended[0].idle, ended[0].idle
	default:
		r.How = IdleNone
		for _, i := range h.samples {
			if i.state == idlerAnswered {
				r.Samples++
			}
		}
	}
	if r.How != IdleSilent { // rungs that have ended instead, as where one of several servers is less patient
		for _, i := range h.rungs {
			if i.state == idlerEnded {
				r.AtLeast = min(r.AtLeast, i.idle)
			}
		}
	}
	return r
}

// mostly is how most of them have ended.
func mostly(ended []*idler) IdleEnd {
	count := map[IdleEnd]int{}
	for _, i := range ended {
		count[i.end]++
	}
	how := ended[0].end
	for _, end := range []IdleEnd{IdleFIN, IdleRST, IdleSilent} {
		if count[end] > count[how] {
			how = end
		}
	}
	return how
}

func (h *idleHunt) progress() IdleProgress {
	var p IdleProgress
	for _, i := range h.samples {
		switch i.state {
		case idlerSilent:
			p.Samples++
		case idlerEnded:
			p.Ended++
		}
	}
	for _, i := range h.asked() {
		switch {
		case i.state == idlerAnswered:
			p.Answered = append(p.Answered, i.idle)
		case i.fine > 0 && i.fine == h.round && (i.state == idlerOpening || i.state == idlerSilent):
			p.Refining++
		}
	}
	if bad := h.lost(); bad != nil {
		p.Lost = bad.idle
	}
	return p
}
