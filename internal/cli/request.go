package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"kax/httpka"
	"kax/internal/lab"
	"kax/internal/view"
)

type requestFlags struct {
	tcp      tcpFlags
	out      outputFlags
	packets  packetFlags
	run      lab.Request
	method   string
	data     []string
	headers  []string
	insecure bool
	verbose  bool
	read     int
}

func (a *app) requestCmd() *cobra.Command {
	f := requestFlags{
		packets: packetFlags{host: true, without: true},
		run: lab.Request{
			Concurrency: 1,
			Bounds:      httpka.Bounds{Timeout: 30 * time.Second},
			Client:      httpka.ClientConfig{PoolIdle: 90 * time.Second, PoolSize: 2},
		},
	}
	cmd := &cobra.Command{
		Use:   "request URL...",
		Short: "send requests; for each: which connection, reused or why not",
		Long: `Asks for the URLs in turn and says of each request which connection it used,
whether that was reused, and if not, why, by what was seen:

  first          there was no connection to this server yet
  busy           each had another request under way (--concurrency)
  server-close   the server said Connection: close
  client-close   the client did (--no-reuse)
  max-requests   the server said close at the limit that it had announced
  http/1.0       HTTP/1.0 without keep-alive
  until-close    the body of a response ended with the connection
  server-fin     the server closed the connection without a word
  server-rst     the server reset it
  peer-gone      the kernel gave the server up (TCP keepalive)
  body-unread    a body was not read to its end (--read)
  pool-full      the client's pool had enough idle connections (--pool-size)
  pool-timeout   the client's pool closed it (--pool-idle)
  failed         the request before failed
  unknown        nothing of these was seen

The client is Go's net/http over HTTP/1.1; no redirect is followed, no proxy
used. TCP keepalive is off unless one of its flags is given. A request that got
any response has not failed; else the exit code is 1.`,
		Example: `  kax http request http://127.0.0.1:3000/keep --requests 3
  kax http request http://127.0.0.1:3000/keep http://127.0.0.1:3000/close --requests 4 --pause 100ms
  kax http request http://127.0.0.1:3000/keep --requests 6 --concurrency 3 --pool-size 1
  kax http request http://127.0.0.1:3000/keep --requests 3 --pause 0.2,0.4 --pool-idle 0.3
  kax http request http://127.0.0.1:3000/keep -d name=value -H X-Test:yes --requests 2 --json
  kax http request http://127.0.0.1:3000/keep --http1.0 --requests 2 -v
  kax http request http://127.0.0.1:3000/keep --keepidle 1 --requests 2 --pause 1.5 --source counters`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s: give a URL", cmd.CommandPath())
			}
			return nil
		},
		RunE: a.run(func(cmd *cobra.Command, args []string) error { return a.request(cmd, f, args) }),
	}
	fs := cmd.Flags()
	fs.Var(number(&f.run.Requests, 1), "requests", "how many to send in all, the URLs in turn (default one for each)")
	fs.Var(durations(&f.run.Pauses), "pause", "pauses between requests, or rounds of them, in turn")
	fs.Var(number(&f.run.Concurrency, 1), "concurrency", "requests at a time: a round; the next begins when all are done")
	fs.BoolVar(&f.run.Client.NoReuse, "no-reuse", false, `send "Connection: close" with each request`)
	fs.BoolVar(&f.run.Client.HTTP10, "http1.0", false, "send HTTP/1.0; -H 'Connection: keep-alive' asks to keep the connection all the same")
	fs.StringVarP(&f.method, "request", "X", "", "the `method` (default GET, with -d POST)")
	fs.StringArrayVarP(&f.data, "data", "d", nil, "send this `body`, or with @ that of a file; several are joined by &")
	fs.StringArrayVarP(&f.headers, "header", "H", nil, "send this `header`, as in 'Name: value'; 'Name:' leaves it out")
	fs.BoolVarP(&f.insecure, "insecure", "k", false, "do not check the server's certificate")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "show the heads of requests and responses on stderr")
	fs.Var(duration(&f.run.Client.PoolIdle, notNegative), "pool-idle", "the client closes a connection that is idle for so long; 0 is never")
	fs.Var(number(&f.run.Client.PoolSize, 1), "pool-size", "idle connections to a server that the client keeps")
	fs.Var(duration(&f.run.Bounds.Timeout, positive), "timeout", "the time that one request may take")
	fs.Var(number(&f.read, 1), "read", "read so many bytes of a body and close it: a common mistake, which costs the connection")
	f.tcp.register(cmd)
	f.packets.register(cmd)
	f.out.register(cmd)
	return cmd
}

func (a *app) request(cmd *cobra.Command, f requestFlags, args []string) error {
	if err := errors.Join(f.packets.check(), f.out.check()); err != nil {
		return err
	}
	settings, err := f.tcp.settings(cmd)
	if err != nil {
		return err
	}
	for _, arg := range args {
		u, err := parseURL(arg)
		if err != nil {
			return usage(err)
		}
		f.run.URLs = append(f.run.URLs, u)
	}
	if f.packets.packets == "-" && slices.Contains(f.data, "@-") {
		return usage(errors.New("-d @- and --packets -: stdin can be one of them"))
	}
	if f.run.Requests == 0 {
		f.run.Requests = len(f.run.URLs)
	}
	if f.run.Make, err = f.maker(a.version); err != nil {
		return err
	}
	if f.packets.tcpdump {
		var servers []string
		for _, u := range f.run.URLs {
			servers = append(servers, fmt.Sprintf("%s:%d", bracketed(u.Hostname()), lab.Port(u)))
		}
		return a.tcpdump(f.packets, servers...)
	}
	f.run.Settings, f.run.Bounds.Read = settings, int64(f.read)
	f.run.Client.TLS = &tls.Config{InsecureSkipVerify: f.insecure, MinVersion: tls.VersionTLS12} // -k, as curl has it
	if f.verbose {
		f.run.Client.OnHead = a.head
	}
	var (
		mu     sync.Mutex
		failed bool
		hint   string
	)
	f.run.Failed = func(n int, u *url.URL, x *httpka.Exchange) {
		mu.Lock()
		defer mu.Unlock()
		failed = true
		fmt.Fprintf(a.stderr, "kax: request %d: %s %s: %s\n", n, view.Clean(x.Method), view.Clean(u.Redacted()), view.Clean(x.Err.Error()))
		if h := (hinted{}); errors.As(requestHint(x.Err), &h) {
			hint = h.hint
		}
	}
	return a.play(cmd, f.packets, f.out, func(ctx context.Context, env lab.Env) error {
		if err := f.run.Run(ctx, env); err != nil || !failed {
			return err
		}
		if hint != "" {
			fmt.Fprintf(a.stderr, "hint: %s\n", hint)
		}
		return silent(exitFailed)
	})
}

// head shows a head as curl -v does. It is one write, so that the heads of
// several connections do not mix.
func (a *app) head(conn int, fromServer bool, head []byte) {
	arrow := '>'
	if fromServer {
		arrow = '<'
	}
	var b strings.Builder
	for line := range strings.Lines(string(head)) {
		fmt.Fprintf(&b, "#%d %c %s\n", conn, arrow, view.Clean(strings.TrimRight(line, "\r\n")))
	}
	fmt.Fprintf(a.stderr, "%s", b.String())
}

// parseURL takes a URL as curl does: without a scheme it is http.
func parseURL(text string) (*url.URL, error) {
	full := text
	if !strings.Contains(text, "://") {
		full = "http://" + text
	}
	u, err := url.Parse(full)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q: must be a URL like http://127.0.0.1:3000/keep", text)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q: must be http or https", text)
	case u.Hostname() == "" || lab.Port(u) == 0:
		return nil, fmt.Errorf("%q: must have a host, and a port from 1 to 65535 if it has one", text)
	}
	return u, nil
}

func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// maker returns what makes the requests that curl's letters ask for.
func (f *requestFlags) maker(version string) (func(context.Context, *url.URL) (*http.Request, error), error) {
	header := http.Header{"User-Agent": {"kax/" + version}}
	var body []byte
	method := http.MethodGet
	if f.data != nil {
		var parts [][]byte
		for _, d := range f.data {
			part, err := dataOf(d)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part)
		}
		body, method = bytes.Join(parts, []byte("&")), http.MethodPost
		header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if f.method != "" {
		method = f.method
	}
	host := ""
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, ":")
		value = strings.TrimSpace(value)
		if !ok || !fieldName(name) || strings.ContainsFunc(value, control) {
			return nil, usage(fmt.Errorf("-H %q: must be like 'Name: value'", h))
		}
		switch name = http.CanonicalHeaderKey(name); {
		case name == "Content-Length" || name == "Transfer-Encoding" || name == "Trailer":
			return nil, usage(fmt.Errorf("-H %q: the body's length is kax's to say", h))
		case name == "Host":
			host = value
		case value == "" && name == "User-Agent":
			header.Set(name, "") // net/http has one of its own
		case value == "":
			header.Del(name)
		case name == "User-Agent" || name == "Content-Type":
			header.Set(name, value)
		default:
			header.Add(name, value)
		}
	}
	make := func(ctx context.Context, u *url.URL) (*http.Request, error) {
		var r io.Reader
		if body != nil {
			r = bytes.NewReader(body)
		}
		req, err := http.NewRequestWithContext(ctx, method, u.String(), r)
		if err != nil {
			return nil, err
		}
		req.Header = header.Clone()
		if host != "" {
			req.Host = host
		}
		return req, nil
	}
	if _, err := make(context.Background(), &url.URL{Scheme: "http", Host: "x"}); err != nil {
		return nil, usage(fmt.Errorf("-X %q: %w", method, err))
	}
	return make, nil
}

// fieldName reports that text is a token (RFC 9110 section 5.6.2).
func fieldName(text string) bool {
	bad := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) }
	return text != "" && !strings.ContainsFunc(text, bad)
}

// control are the characters that no field's value may have (section 5.5).
func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// dataOf is what -d names. Like curl it leaves line ends out of a file.
func dataOf(d string) ([]byte, error) {
	name, ok := strings.CutPrefix(d, "@")
	if !ok {
		return []byte(d), nil
	}
	var text []byte
	var err error
	if name == "-" {
		text, err = io.ReadAll(os.Stdin)
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r"), nil), []byte("\n"), nil), nil
}

// requestHint says what to do about a request that got no response.
func requestHint(err error) error {
	switch {
	case errors.As(err, new(*tls.CertificateVerificationError)), errors.As(err, new(x509.UnknownAuthorityError)):
		return withHint(err, "-k goes on without checking the certificate")
	case errors.As(err, new(tls.RecordHeaderError)):
		return withHint(err, "what listens there may speak plain HTTP: try http:// instead of https://")
	case errors.Is(err, httpka.ErrTLS):
		return withHint(err, "what listens there speaks TLS: try https:// instead of http://")
	case errors.Is(err, httpka.ErrNotHTTP):
		return withHint(err, "kax speaks HTTP/1.1, whose connections this is about")
	case errors.As(err, new(*httpka.WaitError)):
		return withHint(err, "--timeout is the time that one request may take")
	}
	return dialHint(err)
}
