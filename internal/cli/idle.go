package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"kax/httpka"
	"kax/internal/timeline"
	"kax/internal/view"
	"kax/tcpka"
)

type idleFlags struct {
	tcp        tcpFlags
	samples    int
	giveUp     time.Duration
	longerThan time.Duration
	margin     time.Duration
	compare    bool
	insecure   bool
	headers    []string
	json       bool
	color      string
}

func (a *app) idleCmd() *cobra.Command {
	f := idleFlags{samples: 5, giveUp: 10 * time.Minute, margin: time.Second}
	cmd := &cobra.Command{
		Use:   "idle URL",
		Short: "measure the idle timeout of a server, or of what lies between",
		Long: `Opens several connections, sends one request on each, and waits in silence: when
does each end, and how? A server says goodbye (FIN, RST). A NAT or a firewall
that forgets a connection says nothing, and only a request shows it: so more
connections wake after growing times and send one, and where the answer stays
away, others search the gap. TCP keepalive is off, or its probes would hold a
NAT's entry. A first response that is not whole after 30 s is a failure.

--compare-keepalive does the same beside it on connections that do probe (every
second, unless the flags of TCP keepalive say otherwise): what a server does
they do not change, what a NAT does they do.

--longer-than is for checks, as of the servers behind a load balancer that keeps
its own idle connections for 60 s: exit code 0 if every connection still answers
after that time and --margin, else 3. It ends when that is known.`,
		Example: `  kax http idle http://127.0.0.1:3000/
  kax http idle http://127.0.0.1:3000/ --longer-than 500ms --margin 100ms
  kax http idle http://127.0.0.1:3000/ --compare-keepalive --samples 3
  kax http idle https://127.0.0.1:8443/ -k --json`,
		Args: exactly("URL"),
		RunE: a.run(func(cmd *cobra.Command, args []string) error { return a.idle(cmd, f, args[0]) }),
	}
	f.tcp.register(cmd)
	fs := cmd.Flags()
	fs.Var(number(&f.samples, 1), "samples", "connections that wait for their end")
	fs.Var(duration(&f.giveUp, positive), "give-up-after", "the longest wait")
	fs.Var(duration(&f.longerThan, positive), "longer-than", "check that the timeout is longer than this")
	fs.Var(duration(&f.margin, notNegative), "margin", "by how much, for --longer-than: at equality both ends race")
	fs.BoolVar(&f.compare, "compare-keepalive", false, "measure on connections with TCP keepalive too")
	fs.BoolVarP(&f.insecure, "insecure", "k", false, "take any certificate")
	fs.StringArrayVarP(&f.headers, "header", "H", nil, "send this header, as in `'Name: value'`")
	registerShown(cmd, &f.json, &f.color)
	return cmd
}

// finder makes the httpka.IdleFinder that the flags ask for.
func (f *idleFlags) finder(cmd *cobra.Command, arg string) (httpka.IdleFinder, error) {
	u, err := parseURL(arg)
	if err != nil {
		return httpka.IdleFinder{}, usage(err)
	}
	finder := httpka.IdleFinder{URL: u.String(), Samples: f.samples, GiveUpAfter: f.giveUp}
	if finder.Header, err = headerOf(f.headers); err != nil {
		return finder, err
	}
	if f.insecure {
		finder.TLS = &tls.Config{InsecureSkipVerify: true} // what -k asks for
	}
	if f.longerThan > 0 {
		finder.Enough = f.longerThan + f.margin
		if cmd.Flags().Changed("give-up-after") && finder.Enough > f.giveUp {
			return finder, usage(fmt.Errorf("--give-up-after %v: less than --longer-than and --margin", f.giveUp))
		}
		finder.GiveUpAfter = max(f.giveUp, 2*finder.Enough)
	} else if cmd.Flags().Changed("margin") {
		return finder, usage(errors.New("--margin is for --longer-than"))
	}
	return finder, nil
}

// headerOf makes a header of lines as curl's -H takes them.
func headerOf(lines []string) (http.Header, error) {
	header := http.Header{}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || !fieldName(name) || strings.ContainsFunc(value, control) {
			return nil, usage(fmt.Errorf("-H %q: must be like 'Name: value'", line))
		}
		header.Add(name, value)
	}
	return header, nil
}

func (a *app) idle(cmd *cobra.Command, f idleFlags, arg string) error {
	finder, err := f.finder(cmd, arg)
	if err != nil {
		return err
	}
	settings, err := f.tcp.settings(cmd)
	if err != nil {
		return err
	}
	for _, name := range []string{"keepalive", "no-keepalive", "keepidle", "keepintvl", "keepcnt", "user-timeout"} {
		if cmd.Flags().Changed(name) && (!f.compare || !settings.Enabled) {
			return usage(fmt.Errorf("--%s is for the connections of --compare-keepalive that probe", name))
		}
	}
	finder.Dial = tcpka.Settings{}.Dialer().DialContext
	o := view.Options{Width: width(a.stdout), Color: colored(f.color, a.stdout)}
	var v view.View = view.NewDetails(a.stdout, o)
	if f.json {
		v = view.NewJSON(a.stdout, o)
	}
	if err := v.Record(a.header("http idle", timeline.Settings{Server: finder.URL})); err != nil {
		return err
	}
	p := a.newIdleProgress(finder)
	finder.OnProgress = p.set
	var (
		result httpka.IdleResult
		probed *timeline.IdleProbed
	)
	if f.compare {
		result, probed, err = compareIdle(cmd.Context(), finder, settings)
	} else {
		result, err = finder.Find(cmd.Context())
	}
	p.end()
	if !errors.Is(err, errInterrupted) && err != nil {
		return f.idleHint(err)
	}
	r := timeline.Idle{
		URL: finder.URL, Status: result.Status, How: timeline.IdleEnd(result.How), IdleTimes: idleTimes(result),
		Announced: result.Announced, Waited: timeline.Seconds(result.Waited), Probed: probed,
	}
	if result.Server != nil {
		r.Server = result.Server.String()
	}
	if f.longerThan > 0 && err == nil {
		r.Check = &timeline.IdleCheck{
			LongerThan: timeline.Seconds(f.longerThan), Margin: timeline.Seconds(f.margin),
			OK: result.AtLeast >= finder.Enough && result.Unanswered == 0 && result.Failed == 0 && result.Samples > 0,
		}
	}
	switch writeErr := v.Record(timeline.Record{Idle: &r}); {
	case writeErr != nil:
		return writeErr
	case err != nil:
		return err
	case r.Check != nil && !r.Check.OK:
		return silent(exitProblem)
	case r.Check == nil && r.How == timeline.IdleNone:
		return withHint(fmt.Errorf("no idle timeout found within %v", f.giveUp), "--give-up-after waits longer; --longer-than checks for a time that is enough")
	}
	return nil
}

func idleTimes(r httpka.IdleResult) timeline.IdleTimes {
	return timeline.IdleTimes{
		Timeout: timeline.Seconds(r.Timeout), Spread: timeline.Seconds(r.Spread), Samples: r.Samples,
		AtLeast: timeline.Seconds(r.AtLeast), Answer: r.Answer, Remaining: r.Remaining, Unanswered: r.Unanswered, Failed: r.Failed,
	}
}

// idleHint says what to do about a measurement that could not begin.
func (f *idleFlags) idleHint(err error) error {
	switch {
	case errors.Is(err, httpka.ErrNotReusable) && f.longerThan > 0:
		return coded{err, exitProblem}
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return withHint(err, "-k takes any certificate")
	case errors.As(err, new(tls.RecordHeaderError)):
		return withHint(err, "does it speak TLS? For plain HTTP give http://")
	case errors.Is(err, httpka.ErrTLS):
		return withHint(err, "for TLS give https://")
	case errors.Is(err, httpka.ErrNotHTTP):
		return withHint(err, "kax speaks HTTP/1.1, whose connections this is about")
	case errors.Is(err, syscall.ECONNREFUSED), errors.As(err, new(*net.DNSError)):
		return dialHint(err)
	}
	return err
}

// compareIdle measures on connections without and with probes, at the same time.
// The probing ones are not waited for any longer than it takes to see a
// difference.
func compareIdle(ctx context.Context, finder httpka.IdleFinder, asked tcpka.Settings) (httpka.IdleResult, *timeline.IdleProbed, error) {
	asked.Enabled = true
	if asked.Idle == 0 {
		asked.Idle = time.Second
	}
	if asked.Interval == 0 {
		asked.Interval = time.Second
	}
	var (
		dialer    = asked.Dialer()
		once      sync.Once
		effective tcpka.Settings
		begun     = time.Now()
		stop      = make(chan struct{})
		plainErr  error
		plain     httpka.IdleResult
	)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	probing := finder
	probing.OnProgress, probing.Stop = nil, stop
	probing.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, address)
		if sc, ok := c.(syscall.Conn); err == nil && ok {
			once.Do(func() { effective, err = tcpka.Get(sc) })
		}
		return c, err
	}
	go func() {
		defer close(stop)
		if plain, plainErr = finder.Find(ctx); plainErr != nil {
			cancel(plainErr)
			return
		}
		// 1.2 timeouts, all in all, where that is not over yet.
		wait := time.NewTimer(time.Until(begun.Add(plain.Timeout * 115 / 100)))
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
		}
	}()
	with, err := probing.Find(ctx)
	if err != nil {
		cancel(err)
	}
	<-stop
	if err = plainErr; err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return plain, nil, err
	}
	p := &timeline.IdleProbed{
		How: timeline.IdleEnd(with.How), IdleTimes: idleTimes(with),
		Keepalive: timeline.Keepalive{Asked: timeline.Options(asked), Effective: timeline.Options(effective)},
	}
	p.Effect = probesEffect(plain, with, effective)
	return plain, p, nil
}

// probesEffect says what probes did to an idle connection.
func probesEffect(plain, with httpka.IdleResult, s tcpka.Settings) string {
	alike := max(300*time.Millisecond, plain.Timeout*5/100, plain.Spread, with.Spread)
	switch {
	case plain.How == httpka.IdleNone && with.How == httpka.IdleNone:
		return "no difference as far as was waited"
	case plain.How != httpka.IdleNone && plain.Timeout <= s.Idle+300*time.Millisecond:
		return "no word on the probes: the first of them would come too late"
	case plain.How != httpka.IdleNone && with.How == httpka.IdleNone && with.AtLeast > plain.Timeout+plain.Spread:
		return "the probes keep such connections"
	case plain.How != httpka.IdleNone && with.How != httpka.IdleNone && (plain.Timeout-with.Timeout).Abs() <= alike:
		return "the probes change nothing"
	}
	return "the probes make a difference"
}
