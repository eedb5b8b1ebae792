package sockets

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"kax/tcpka"
)

// Poke has the kernel send one keepalive probe at once, and waits for the
// answer until wait has passed. The error is a [*Refusal] where nothing was
// done, and that of ctx when it ended first, or [ErrEnded]: with an Outcome that
// is Unanswered so far, where the probe was out. In every case the socket's
// settings are again as they were when Poke returns.
//
// An unanswered poke counts as an unanswered probe of the connection.
func (b *Borrowed) Poke(ctx context.Context, wait time.Duration, force bool) (Outcome, error) {
	start := time.Now()
	before, now, silent, err := b.probe(ctx, force)
	if err != nil {
		return Outcome{}, err
	}
	for deadline := time.Now().Add(wait); err == nil && now.silentSince(before) && time.Now().Before(deadline); {
		err = pause(ctx, start)
		if err == nil && b.owner.Ended() {
			err = fmt.Errorf("process %d: %w", b.PID, ErrEnded) // and would be kept from closing the socket
		}
		if latest, readErr := b.Status(); readErr != nil {
			err = errors.Join(err, readErr)
		} else {
			now = latest
		}
	}
	o := Outcome{Result: Unanswered, Waited: time.Since(start), Probes: now.ProbesOut, Used: now.moved != before.moved}
	switch {
	case now.State == Closed && now.segsIn != before.segsIn:
		o.Result = Reset
	case now.State == Closed:
		o.Dead = true
	case now.heardSince(before):
		o.Result, o.After = Answered, time.Since(silent)
	default:
		return o, err
	}
	return o, nil // it was answered, whatever came then
}

// probe sends the probe, while no other kax changes the socket.
func (b *Borrowed) probe(ctx context.Context, force bool) (before, now Status, silent time.Time, err error) {
	unlock, err := b.Lock(ctx)
	if err != nil {
		return before, now, silent, err
	}
	defer unlock()
	settings, err := tcpka.GetFD(b.FD())
	if err != nil {
		return before, now, silent, err
	}
	if before, err = b.Status(); err != nil {
		return before, now, silent, err
	}
	if err := mayPoke(before, settings, force); err != nil {
		return before, now, silent, fmt.Errorf("process %d, descriptor %d: %w", b.PID, b.Number, err)
	}
	now, silent, err = b.provoke(ctx, settings, before)
	return before, now, silent, err
}

// heardSince reports that the peer has been heard since before: by when, not
// for how long, since much time may pass between two readings.
func (s Status) heardSince(before Status) bool {
	return s.at.Add(-s.Quiet()).Sub(before.at.Add(-before.Quiet())) > tcpka.MinTime/2
}

// silentSince reports the opposite. A RST is heard too, and closes the socket.
func (s Status) silentSince(before Status) bool {
	return s.State != Closed && !s.heardSince(before)
}

// provoke makes the kernel send a probe and puts the settings back as soon as it
// is out: a timer that is put back before cancels it, and one that is put back
// late is in danger of never being. It returns the first reading with the probe,
// and when the last one without it began.
func (b *Borrowed) provoke(ctx context.Context, old tcpka.Settings, before Status) (now Status, silent time.Time, err error) {
	defer func() {
		if restoreErr := b.restore(old); restoreErr != nil {
			err = errors.Join(err, fmt.Errorf("put the settings back (%v): %w", old, restoreErr))
		}
	}()
	start := time.Now()
	if err := b.arm(old, before); err != nil {
		return Status{}, time.Time{}, err
	}
	for {
		// An answer that is here already has set the count of unanswered
		// probes back.
		reading := time.Now()
		if now, err = b.Status(); err != nil {
			return Status{}, time.Time{}, err
		}
		if now.ProbesOut > before.ProbesOut || !now.silentSince(before) {
			if silent.IsZero() {
				silent = start
			}
			return now, silent, nil
		}
		silent = reading
		if time.Since(start) > dueIn {
			return Status{}, time.Time{}, fmt.Errorf("process %d, descriptor %d: %w within %v", b.PID, b.Number, ErrNoProbe, dueIn)
		}
		if err := pause(ctx, start); err != nil {
			return Status{}, time.Time{}, err
		}
	}
}

// arm makes a probe due at once. TCP_KEEPIDLE starts the timer anew with what is
// left of the idle time, and SO_KEEPALIVE with all of it (tcp_sock_set_keepidle,
// tcp_set_keepalive), so it comes first.
//
// A connection quiet for its own idle time keeps it: setting a shorter one would
// make a probe due, and setting it back another one.
func (b *Borrowed) arm(old tcpka.Settings, before Status) error {
	if old.Enabled && before.Quiet() >= old.Idle {
		_, err := tcpka.SetFD(b.FD(), tcpka.Settings{Enabled: true, Idle: old.Idle})
		return err
	}
	if !old.Enabled {
		if _, err := tcpka.SetFD(b.FD(), tcpka.Settings{Enabled: true}); err != nil {
			return err
		}
	}
	_, err := tcpka.SetFD(b.FD(), tcpka.Settings{Enabled: true, Idle: tcpka.MinTime})
	return err
}

// restore turns keepalive off, where it was, before it sets the idle time: that
// could make a probe due otherwise. An idle time that is not the one of arm was
// set by the program itself meanwhile, and stays; or there is nothing to put
// back.
func (b *Borrowed) restore(old tcpka.Settings) error {
	if !old.Enabled {
		if _, err := tcpka.SetFD(b.FD(), tcpka.Settings{}); err != nil {
			return err
		}
	}
	now, err := tcpka.GetFD(b.FD())
	if err != nil || now.Idle != tcpka.MinTime {
		return err
	}
	_, err = tcpka.SetFD(b.FD(), tcpka.Settings{Enabled: old.Enabled, Idle: old.Idle})
	return err
}

// pause waits between two readings: shortly at first, when answers come, and a
// fiftieth of what has passed later on. Package time would round up to a
// millisecond, which epoll_wait(2) counts in.
func pause(ctx context.Context, since time.Time) error {
	d := min(max(time.Since(since)/50, 100*time.Microsecond), 5*time.Millisecond)
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil) // EINTR: shorter for once
	return context.Cause(ctx)
}
