package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"kax/httpka"
	"kax/internal/timeline"
	"kax/internal/view"
)

type raceFlags struct {
	at       time.Duration
	span     time.Duration
	step     time.Duration
	trials   int
	mine     bool
	insecure bool
	headers  []string
	json     bool
	color    string
}

func (a *app) raceCmd() *cobra.Command {
	f := raceFlags{span: 5 * time.Millisecond, step: 500 * time.Microsecond, trials: 10}
	cmd := &cobra.Command{
		Use:   "race URL",
		Short: "send requests at the edge of the idle timeout, and count what breaks",
		Long: `Measures the idle timeout of a server, as "kax http idle" does, or takes it from
--at. Then it opens many connections, lets each be idle for just that long, a
few milliseconds less or more, and sends a GET or a POST by Go's HTTP client. A
request that meets the server's goodbye is lost: a GET the client sends again by
itself, a POST it may not (RFC 9110 section 9.2.2), and fails; unless not a byte
of it had been written yet, when that is sent again too. No response is waited
for longer than 30 s.

POST is sent for real, and there are hundreds of connections: only a server of
this machine is asked, unless --yes-i-run-this-server.`,
		Example: `  kax http race http://127.0.0.1:3000/
  kax http race http://127.0.0.1:3000/ --at 1500ms --span 3ms --trials 5 --json`,
		Args: exactly("URL"),
		RunE: a.run(func(cmd *cobra.Command, args []string) error { return a.race(cmd, f, args[0]) }),
	}
	fs := cmd.Flags()
	fs.Var(duration(&f.at, positive), "at", "the idle timeout; measured where it is not given")
	fs.Var(duration(&f.span, positive), "span", "how far before and after it requests are sent")
	fs.Var(duration(&f.step, positive), "step", "from one offset to the next")
	fs.Var(number(&f.trials, 1), "trials", "requests at each offset, of each method")
	fs.BoolVar(&f.mine, "yes-i-run-this-server", false, "ask a server that is not on this machine")
	fs.BoolVarP(&f.insecure, "insecure", "k", false, "take any certificate")
	fs.StringArrayVarP(&f.headers, "header", "H", nil, "send this header, as in `'Name: value'`")
	registerShown(cmd, &f.json, &f.color)
	return cmd
}

// mostRaced bounds the connections that are open at once.
const mostRaced = 5000

func (a *app) race(cmd *cobra.Command, f raceFlags, arg string) error {
	u, err := parseURL(arg)
	switch {
	case err != nil:
		return usage(err)
	case f.step > f.span:
		return usage(fmt.Errorf("--step %v: more than --span %v", f.step, f.span))
	case f.at > 0 && f.at <= f.span:
		return usage(fmt.Errorf("--span %v: not less than --at %v", f.span, f.at))
	}
	url, methods := u.String(), []string{"GET", "POST"}
	steps := int(2*f.span/f.step) + 1
	if n := steps * f.trials * len(methods); n > mostRaced {
		return usage(fmt.Errorf("%d connections: at most %d; a larger --step or fewer --trials make less", n, mostRaced))
	}
	header, err := headerOf(f.headers)
	if err != nil {
		return err
	}
	dialer := &net.Dialer{KeepAlive: -1}
	if !f.mine {
		dialer.Control = onLoopback
	}
	var config *tls.Config
	if f.insecure {
		config = &tls.Config{InsecureSkipVerify: true} // what -k asks for
	}
	o := view.Options{Width: width(a.stdout), Color: colored(f.color, a.stdout)}
	var v view.View = view.NewDetails(a.stdout, o)
	if f.json {
		v = view.NewJSON(a.stdout, o)
	}
	if err := v.Record(a.header("http race", timeline.Settings{Server: url})); err != nil {
		return err
	}
	ctx := cmd.Context()
	finder := httpka.IdleFinder{URL: url, TLS: config, Header: header, Dial: dialer.DialContext}
	if f.at > 0 {
		// One look at the server, which says of what cannot be raced why.
		finder.Samples, finder.Enough = 1, time.Millisecond
		if _, err := finder.Find(ctx); err != nil && !errors.Is(err, errInterrupted) {
			return raceHint(err)
		}
	} else if f.at, err = a.raceAt(ctx, finder); err != nil {
		return err
	} else if f.at <= f.span {
		return fmt.Errorf("the idle timeout is %v: --span must be less", f.at)
	}
	racer := httpka.Racer{
		URL: url, TLS: config, Header: header, At: f.at, Span: f.span, Step: f.step, Trials: f.trials, Methods: methods, Dial: dialer.DialContext,
	}
	shots, err := racer.Run(ctx)
	if err != nil && !errors.Is(err, errInterrupted) {
		return raceHint(err)
	}
	r := timeline.Race{URL: url, At: timeline.Seconds(f.at), Span: timeline.Seconds(f.span), Step: timeline.Seconds(f.step)}
	for _, method := range methods {
		r.Methods = append(r.Methods, raceMethod(method, shots, f, steps))
	}
	return errors.Join(v.Record(timeline.Record{Race: &r}), err)
}

// raceAt measures.
func (a *app) raceAt(ctx context.Context, finder httpka.IdleFinder) (time.Duration, error) {
	p := a.newIdleProgress(finder)
	finder.OnProgress = p.set
	found, err := finder.Find(ctx)
	p.end()
	switch {
	case err != nil:
		return 0, raceHint(err)
	case found.How == httpka.IdleSilent:
		return 0, fmt.Errorf("%s: idle connections are lost without a word: there is no goodbye to race", finder.URL)
	case found.How == httpka.IdleNone:
		return 0, fmt.Errorf("%s: no idle timeout found within %v", finder.URL, found.Waited.Round(time.Second))
	}
	return found.Timeout, nil
}

func raceHint(err error) error {
	if errors.Is(err, errNotLoopback) {
		return withHint(err, "--yes-i-run-this-server asks it all the same")
	}
	return (&idleFlags{}).idleHint(err)
}

// raceMethod counts what became of the requests of one method. Each counts at
// the offset that it was sent at; one that was late by more than the span, at the
// last.
func raceMethod(method string, shots []httpka.Shot, f raceFlags, steps int) timeline.RaceMethod {
	m := timeline.RaceMethod{Method: method, Offsets: make([]timeline.RaceOffset, steps)}
	for i := range m.Offsets {
		m.Offsets[i].Offset = timeline.Seconds(-f.span + time.Duration(i)*f.step)
	}
	for _, s := range shots {
		if s.Method != method {
			continue
		}
		i := int(math.Round(float64(s.Offset+f.span) / float64(f.step)))
		m.Offsets[min(max(i, 0), steps-1)].Add(string(s.Outcome))
		m.Add(string(s.Outcome))
		if s.Err != "" {
			if m.Failures == nil {
				m.Failures = map[string]int{}
			}
			m.Failures[s.Err]++
		}
	}
	return m
}

var errNotLoopback = errors.New("refused: not an address of this machine's loopback")

// onLoopback refuses other addresses, whatever a name resolves to.
func onLoopback(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !ap.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("%s: %w", ap.Addr(), errNotLoopback)
	}
	return nil
}
