package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"kax/httpka"
	"kax/internal/timeline"
	"kax/tcpka"
)

// Request sends requests to servers of others, and tells of each which
// connection it used.
type Request struct {
	Settings    tcpka.Settings // TCP keepalive of the client's sockets
	URLs        []*url.URL     // asked in turn
	Requests    int            // in all
	Concurrency int            // at a time: a round
	Pauses      []time.Duration
	Make        func(ctx context.Context, u *url.URL) (*http.Request, error)
	Client      httpka.ClientConfig // without what Run sets: Dial, OnEvent, Responses
	Bounds      httpka.Bounds
	Failed      func(n int, u *url.URL, x *httpka.Exchange) // told of each request without a response
}

// latest is how much later than its packet a client may read a response, that
// the two still find each other: less than settle.
const latest = settle / 2

// Run sends the requests. One without a response is no error of the run's. An
// end of ctx ends them: it is an error unless its deadline is over.
func (r Request) Run(ctx context.Context, env Env) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := env.await(ctx); err != nil {
		return err
	}
	settings, err := r.settings(ctx)
	if err != nil {
		return err
	}
	s, err := openStage(env, r.port())
	if err != nil {
		return err
	}
	s.begin(time.Now(), settings, nil, cancel)

	cfg := r.Client
	cfg.Dial, cfg.Responses = r.dialer(s), true
	sent := &lastSent{s: s}
	cfg.OnEvent = sent.event
	client := httpka.NewClient(cfg)
	err = r.rounds(ctx, s, client)
	if ctx.Err() != nil {
		s.step("stop", "the run ends here, and kax closes what is open")
	}
	client.Close()
	closeCtx, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer stop()
	if waitErr := client.Wait(closeCtx); waitErr != nil {
		err = errors.Join(err, fmt.Errorf("wait for the client's connections to close: %w", waitErr))
	}
	return errors.Join(s.close(), done(ctx), err)
}

// rounds sends the requests, so many at a time.
func (r Request) rounds(ctx context.Context, s *stage, client *httpka.Client) error {
	var errs errorList
	for n, round := 1, 0; n <= r.Requests; round++ {
		if round > 0 && !pause(ctx, r.Pauses, round-1) || ctx.Err() != nil || errs.first() != nil {
			break
		}
		var all sync.WaitGroup
		for range min(r.Concurrency, r.Requests-n+1) {
			number := n
			n++
			all.Go(func() { errs.add(r.one(ctx, s, client, number)) })
		}
		all.Wait()
	}
	return errs.first()
}

// errorList keeps the first of several goroutines' errors.
type errorList struct {
	mu  sync.Mutex
	err error
}

func (l *errorList) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
}

func (l *errorList) first() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (r Request) one(ctx context.Context, s *stage, client *httpka.Client, n int) error {
	u := r.URLs[(n-1)%len(r.URLs)]
	req, err := r.Make(ctx, u)
	if err != nil {
		return err
	}
	x := client.Exchange(req, r.Bounds)
	if x.Err != nil && ctx.Err() != nil {
		x.Err = errors.New("the run ended first")
	}
	s.merge.Now(func(at time.Time) { s.tracker.Exchange(at, n, u.String(), x) })
	if x.Err == nil || ctx.Err() != nil {
		return nil
	}
	r.Failed(n, u, x)
	return nil
}

// lastSent puts a server's messages, which the client tells of, where their
// packets are: after the request, and not much before now.
type lastSent struct {
	s    *stage
	last sync.Map // of each connection
}

func (l *lastSent) event(e httpka.Event) {
	p := pair{e.Client, e.Server}
	if !e.FromServer {
		l.last.Store(p, e.Time)
		l.s.http(e)
		return
	}
	if l.s.env.Packets == nil {
		l.s.http(e)
		return
	}
	at := e.Time.Add(-latest)
	if sent, ok := l.last.Load(p); ok && sent.(time.Time).After(at) {
		at = sent.(time.Time)
	}
	l.s.httpAt(at, e)
}

// port is the servers', or 0 where they have several.
func (r Request) port() uint16 {
	var ports []uint16
	for _, u := range r.URLs {
		ports = append(ports, Port(u))
	}
	slices.Sort(ports)
	if ports = slices.Compact(ports); len(ports) > 1 {
		return 0
	}
	return ports[0]
}

// Port is a URL's, 0 where it is none of HTTP.
func Port(u *url.URL) uint16 {
	name := u.Port()
	if name == "" {
		name = u.Scheme
	}
	n, err := net.LookupPort("tcp", name)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// settings reads back what the kernel makes of the client's settings.
func (r Request) settings(ctx context.Context) (timeline.Settings, error) {
	trial, err := r.Settings.ListenConfig().Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return timeline.Settings{}, err
	}
	defer trial.Close()
	got, err := tcpka.Get(trial.(*net.TCPListener))
	if err != nil {
		return timeline.Settings{}, err
	}
	var hosts []string
	for _, u := range r.URLs {
		if !slices.Contains(hosts, u.Host) {
			hosts = append(hosts, u.Host)
		}
	}
	out := timeline.Settings{
		Server:       strings.Join(hosts, ", "),
		ClientTCP:    timeline.Keepalive{Asked: timeline.Options(r.Settings), Effective: timeline.Options(got)},
		HTTPSettings: &timeline.HTTPSettings{Reuse: !r.Client.NoReuse, Pauses: []timeline.Seconds{}},
		RequestSettings: &timeline.RequestSettings{
			Requests: r.Requests, Concurrency: r.Concurrency, HTTP10: r.Client.HTTP10,
			PoolIdle: timeline.Seconds(r.Client.PoolIdle), PoolSize: r.Client.PoolSize,
		},
	}
	for _, p := range r.Pauses {
		out.Pauses = append(out.Pauses, timeline.Seconds(p))
	}
	return out, nil
}

func (r Request) dialer(s *stage) func(context.Context, string, string) (net.Conn, error) {
	dialer := r.Settings.Dialer()
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := s.dial(func() (net.Conn, error) { return dialer.DialContext(ctx, network, address) })
		if err != nil {
			return nil, err
		}
		return s.watch(conn, true)
	}
}
