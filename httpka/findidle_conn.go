package httpka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// An idler is one connection of a hunt: it carries a request, is silent until
// its wake time, and sends another.
type idler struct {
	sample bool
	fine   int           // of which refinement it is; 0 is none
	wake   time.Duration // idle time before the second request

	// Of the hunt's loop.
	state idlerState
	conn  net.Conn
	start time.Time     // of the silence: the end of the first response
	idle  time.Duration // how long that lasted, once it is over
	end   IdleEnd       // of one that ended in its silence
	say   string        // how the second request was taken, if it was not answered
}

type idlerState uint8

const (
	idlerOpening  idlerState = iota
	idlerFailed              // to open
	idlerSilent              // idle
	idlerSuspect             // the answer is late
	idlerAnswered            // the second request was
	idlerLost                // it was not
	idlerEnded               // by FIN or RST, while idle
)

// idlerEvent is what an idler tells the loop.
type idlerEvent struct {
	*idler
	state idlerState
	conn  net.Conn
	at    time.Time
	idle  time.Duration
	end   IdleEnd
	say   string
	err   error
	first Message
}

// run lives through a connection, and tells of it, until ctx ends.
func (a *approach) run(ctx context.Context, i *idler, tell func(idlerEvent)) {
	w, err := a.open(ctx)
	if err != nil {
		tell(idlerEvent{idler: i, state: idlerFailed, err: err})
		return
	}
	defer w.conn.Close()
	unblock := context.AfterFunc(ctx, func() { w.raw.Close() })
	defer unblock()
	begun := time.Now()
	err = w.exchange(a.request, begun.Add(a.patience))
	start := time.Now()
	took := start.Sub(begun)
	switch final := w.final; {
	case err != nil:
		err = a.unanswered(err, w)
	case final.Reuse.May != ReuseYes:
		err = &NotReusableError{final.Reuse, final.Message}
	}
	if err != nil {
		tell(idlerEvent{idler: i, state: idlerFailed, err: err})
		return
	}
	_ = w.conn.SetDeadline(start.Add(i.wake))
	tell(idlerEvent{idler: i, state: idlerSilent, conn: w.conn, at: start, first: w.final.Message})
	if end := w.watch(); end != "" {
		tell(idlerEvent{idler: i, state: idlerEnded, idle: w.ended.Sub(start), end: end})
		return
	}

	asked := time.Now()
	e := idlerEvent{idler: i, idle: asked.Sub(start)}
	soon := min(max(3*took, 50*time.Millisecond), answerBound(took, e.idle))
	for _, step := range []struct {
		state idlerState
		until time.Time
	}{
		{idlerSuspect, asked.Add(soon)},
		{idlerLost, asked.Add(answerBound(took, e.idle))},
		{idlerLost, time.Time{}}, // for an answer that comes yet
	} {
		if e.state == idlerOpening {
			err = w.exchange(a.request, step.until)
		} else {
			err = w.read(step.until)
		}
		switch {
		case err == nil:
			e.state = idlerAnswered
			tell(e)
			return
		case !errors.Is(err, os.ErrDeadlineExceeded):
			e.state, e.say = idlerLost, "closed"
			if isReset(err) {
				e.say = "reset"
			}
			tell(e)
			return
		}
		e.state, e.say = step.state, "nothing"
		tell(e)
	}
}

// answerBound is how long the answer to a second request may take before it is
// held to be lost: what the first one would let expect five times over, and
// more after a longer silence, whose relation to it stays the same.
func answerBound(took, idle time.Duration) time.Duration {
	return max(500*time.Millisecond, 5*took, min(idle*15/100, 5*time.Second))
}

// unanswered says what became of a first request.
func (a *approach) unanswered(err error, w *wire) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && w.heard:
		return fmt.Errorf("%s: the response did not end within %v", a.address, a.patience)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%s: no response within %v", a.address, a.patience)
	case errors.Is(err, ErrNotHTTP):
		return fmt.Errorf("%s: what it sent is %w", a.address, err)
	case errors.Is(err, io.EOF) && !w.heard:
		return fmt.Errorf("%s: closed without a response", a.address)
	}
	return fmt.Errorf("%s: %w", a.address, plain(err))
}

// open connects, and agrees on TLS.
func (a *approach) open(ctx context.Context) (*wire, error) {
	ctx, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	raw, err := a.dial(ctx, "tcp", a.address)
	if err != nil {
		return nil, err
	}
	w := &wire{conn: raw, raw: raw}
	if a.tls != nil {
		t := tls.Client(raw, a.tls)
		w.conn = t
		if err := t.HandshakeContext(ctx); err != nil {
			raw.Close()
			if errors.Is(err, context.DeadlineExceeded) {
				return nil, fmt.Errorf("%s: no end of the TLS handshake within %v", a.address, a.patience)
			}
			return nil, fmt.Errorf("%s: %w", a.address, handshakeError(err))
		}
	}
	w.talk.OnFinding = func(f *Finding) {
		if f.Message.FromServer && !f.Message.Interim() && f.Stage != HeadComplete || f.Stage == MessageBroken {
			w.final, w.done = *f, true
		}
	}
	return w, nil
}

// wire is a connection with the conversation on it.
type wire struct {
	conn  net.Conn // TLS, where there is some
	raw   net.Conn
	talk  Conversation
	final Finding // the last of a final response
	done  bool    // it has come since the last request
	heard bool    // anything has come since then
	ended time.Time
	buf   [4096]byte
}

// exchange sends a request and reads the response to it.
func (w *wire) exchange(request []byte, deadline time.Time) error {
	w.done, w.heard = false, false
	_ = w.conn.SetDeadline(time.Now().Add(firstAnswer)) // for the write
	w.talk.Feed(false, request)
	if _, err := w.conn.Write(request); err != nil {
		return err
	}
	return w.read(deadline)
}

// read reads on to the end of the response.
func (w *wire) read(deadline time.Time) error {
	for !w.done {
		_ = w.conn.SetReadDeadline(deadline)
		n, err := w.conn.Read(w.buf[:])
		if n > 0 {
			w.heard = true
			w.talk.Feed(true, w.buf[:n])
		}
		switch {
		case err == nil, w.done:
		case errors.Is(err, os.ErrDeadlineExceeded) && (deadline.IsZero() || time.Now().Before(deadline)):
			// Another's deadline, which came when this one's was set.
		case errors.Is(err, io.EOF):
			if w.talk.Close(true); !w.done {
				return io.EOF
			}
		default:
			return err
		}
	}
	if w.final.Stage == MessageBroken {
		return w.final.Err
	}
	return nil
}

// watch returns how the connection ends while it is silent, or "" when it is
// time to use it. Bytes that nobody has asked for, such as a 408 (RFC 9110
// section 15.5.9), are the beginning of the end.
func (w *wire) watch() IdleEnd {
	for {
		n, err := w.conn.Read(w.buf[:])
		begun := !w.ended.IsZero()
		if !begun {
			w.ended = time.Now()
		}
		switch {
		case err == nil && n > 0:
			if !begun {
				_ = w.conn.SetReadDeadline(time.Now().Add(time.Second))
			}
			continue
		case isReset(err):
			return IdleRST
		case errors.Is(err, os.ErrDeadlineExceeded) && !begun:
			return ""
		case isTimeout(err):
			return IdleSilent // the probes of the connection's own were not answered
		}
		return IdleFIN
	}
}

// isTimeout reports that the kernel has given the peer up (tcp(7)), and not
// that a deadline is over.
func isTimeout(err error) bool {
	t := net.Error(nil)
	return errors.As(err, &t) && t.Timeout() && !errors.Is(err, os.ErrDeadlineExceeded)
}
