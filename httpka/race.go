package httpka

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"
)

// A Racer sends requests at the moment in which a server closes an idle
// connection, by net/http's own client with its pool and its retry, and tells
// what becomes of each. RFC 9112 section 9.3.1 is about that moment: a client
// may send again by itself only what is idempotent.
type Racer struct {
	URL     string
	TLS     *tls.Config   // for https
	Header  http.Header   // sent with each request; Host and User-Agent too
	At      time.Duration // the idle timeout
	Span    time.Duration // how far before and after it
	Step    time.Duration // from offset to offset, above 0
	Trials  int           // at each offset, of each method
	Methods []string

	// Dial opens a connection; nil is a plain net.Dialer's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// RaceOutcome is what became of a request.
type RaceOutcome string

// The outcomes.
const (
	RaceFine    RaceOutcome = "fine"    // answered on the idle connection
	RaceFresh   RaceOutcome = "fresh"   // answered on another one: the client had noticed the end
	RaceRetried RaceOutcome = "retried" // lost, and sent again on another connection by the client itself
	RaceFailed  RaceOutcome = "failed"
)

// A Shot is one request of a [Racer].
type Shot struct {
	Method  string
	Offset  time.Duration // from the timeout, as it came to be sent
	Outcome RaceOutcome
	Err     string // of one that failed, without addresses
}

// raceStagger lies between the beginnings of two connections: their requests
// would be late if they were all sent at once.
const raceStagger = 2 * time.Millisecond

// Run sends the requests and returns what became of them. All connections are
// open at the same time. An error is that of a first request.
func (r Racer) Run(ctx context.Context) ([]Shot, error) {
	if r.Step <= 0 {
		return nil, fmt.Errorf("step %v: must be above 0", r.Step)
	}
	if r.Dial == nil {
		r.Dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		mu    sync.Mutex
		shots []Shot
		all   sync.WaitGroup
		nth   int
	)
	for range r.Trials {
		for offset := -r.Span; offset <= r.Span; offset += r.Step {
			for _, method := range r.Methods {
				wait := time.Duration(nth) * raceStagger
				nth++
				all.Go(func() {
					if !sleep(ctx, wait) {
						return
					}
					shot, err := r.shoot(ctx, method, offset)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						cancel(err)
					} else {
						shots = append(shots, shot)
					}
				})
			}
		}
	}
	all.Wait()
	return shots, context.Cause(ctx)
}

// sleep reports whether ctx has lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// shoot opens a connection of its own and uses it twice.
func (r *Racer) shoot(ctx context.Context, method string, offset time.Duration) (Shot, error) {
	tr := &http.Transport{DialContext: r.Dial, TLSClientConfig: r.TLS, DisableCompression: true}
	defer tr.CloseIdleConnections()
	if err := r.open(ctx, tr); err != nil {
		return Shot{}, fmt.Errorf("the first request: %w", err)
	}
	idle := time.Now()
	if !sleep(ctx, r.At+offset) {
		return Shot{}, context.Cause(ctx)
	}
	var used []httptrace.GotConnInfo
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { used = append(used, i) }})
	traced, cancel := context.WithTimeout(traced, firstAnswer)
	defer cancel()
	s := Shot{Method: method, Offset: time.Since(idle) - r.At}
	err := r.ask(traced, tr, method)
	switch {
	case ctx.Err() != nil:
		return Shot{}, context.Cause(ctx)
	case err != nil:
		s.Outcome, s.Err = RaceFailed, plain(err).Error()
	case len(used) > 1:
		s.Outcome = RaceRetried
	case len(used) == 1 && !used[0].Reused:
		s.Outcome = RaceFresh
	default:
		s.Outcome = RaceFine
	}
	return s, nil
}

// openings is how often a connection is opened for its first request.
const openings = 3

// open has the first request answered. Where a busy machine sends that late, the
// server may have given up a connection without one. net/http sends nothing
// again on a fresh connection (persistConn.shouldRetryRequest), but a GET may be
// sent again (RFC 9110 section 9.2.2).
func (r *Racer) open(ctx context.Context, tr *http.Transport) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, firstAnswer, fmt.Errorf("no response within %v", firstAnswer))
	defer cancel()
	for range openings {
		if err = r.ask(ctx, tr, http.MethodGet); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return err
}

// ask sends a request and reads the response, which gives the connection back.
func (r *Racer) ask(ctx context.Context, tr *http.Transport, method string) error {
	var body io.Reader
	if method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
		body = strings.NewReader("x=1")
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL, body)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "kax")
	maps.Copy(req.Header, r.Header)
	if host := r.Header.Get("Host"); host != "" {
		req.Host = host // net/http takes it from there
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
