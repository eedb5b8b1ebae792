package cli

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"kax/httpka"
	"kax/internal/timeline"
	"kax/internal/view"
	"kax/tcpka"
)

type serveFlags struct {
	tcp    tcpFlags
	listen string
	tls    bool
	cfg    httpka.ServerConfig
}

func (a *app) serveCmd() *cobra.Command {
	f := serveFlags{cfg: httpka.ServerConfig{CloseWith: httpka.FIN, IdleTimeout: time.Minute}}
	cmd := &cobra.Command{
		Use:   "serve [ADDR]",
		Short: "a server whose paths keep, close, delay or break their connection",
		Long: `Serves HTTP on ADDR (default 127.0.0.1:3000) until ^C:

  /        says in plain words what there is
  /keep    answers and leaves the connection open for the next request
  /close   answers with "Connection: close" and closes
  /bytes   answers with a body: /bytes?n=100000, /bytes?n=5000&chunked=1
  /slow    waits before it answers: /slow?d=2s
  /rst     resets the connection instead of answering
  /half    breaks off in the middle of its response's body
  /status  lists the server's connections as JSON; ?closed=1 adds past ones

An ADDR without a host, as in :8080, is on loopback, which only this machine
reaches; 0.0.0.0:8080 is on every interface.

One line on stderr tells each thing that happens to a connection. TCP keepalive
of accepted connections is off unless one of its flags is given.`,
		Example: `  kax http serve
  kax http serve 127.0.0.1:8080 --idle-timeout 5s --max-requests 100 --announce
  kax http serve --close-with rst
  kax http serve --http1.0
  kax http serve --tls
  kax http serve '[::1]:3000' --keepidle 10s`,
		Args: atMost(1),
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if f.listen != "" {
					return usage(errors.New("an ADDR and --listen: give one of them"))
				}
				f.listen = args[0]
			}
			if f.cfg.Announce && f.cfg.IdleTimeout == 0 && f.cfg.MaxRequests == 0 {
				return usage(errors.New("--announce: without --idle-timeout and --max-requests there is no limit to announce"))
			}
			return a.serve(cmd, f)
		}),
	}
	f.tcp.register(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.listen, "listen", "", "the `address`, like ADDR; port 0 takes a free one")
	fs.Var(duration(&f.cfg.IdleTimeout, notNegative), "idle-timeout", "close a connection that carries no request for so long; 0 is never")
	fs.Var(number(&f.cfg.MaxRequests, 0), "max-requests", "close a connection with the response to its request of this number; 0 is never")
	fs.BoolVar(&f.cfg.Announce, "announce", false, `send "Keep-Alive: timeout=, max=" with what is left of these limits`)
	fs.Var(oneOf(&f.cfg.CloseWith, httpka.FIN, httpka.RST), "close-with", "how /close and /half say goodbye")
	fs.BoolVar(&f.cfg.HTTP10, "http1.0", false, "answer as HTTP/1.0: close, unless the client asks to keep the connection")
	fs.BoolVar(&f.tls, "tls", false, "serve https, with a certificate made for this run")
	return cmd
}

func (a *app) serve(cmd *cobra.Command, f serveFlags) error {
	network, addr, err := listenAddress(f.listen, false)
	if err != nil {
		return err
	}
	settings, err := f.tcp.settings(cmd)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	l, err := settings.ListenConfig().Listen(ctx, network, addr)
	if err != nil {
		return listenHint(err)
	}
	scheme := "http"
	if f.tls {
		scheme = "https"
		if f.cfg.TLS, err = a.certify(addr, l.Addr()); err != nil {
			l.Close()
			return err
		}
	}
	if _, err := fmt.Fprintf(a.stdout, "%s://%s/\n", scheme, l.Addr()); err != nil {
		l.Close()
		return err
	}
	lines := newServeLog(a.stderr)
	defer lines.end(time.Second)
	f.cfg.ErrorLog = log.New(lines, "kax: ", 0)
	f.cfg.OnEvent = func(e httpka.Event) {
		if text := serveEvent(e); text != "" {
			lines.add(e.Time, fmt.Sprintf("%s  #%d %s\n", e.Time.Format("15:04:05.000"), e.Conn, text))
		}
	}
	f.cfg.Socket = socketKeepalive
	srv := httpka.NewServer(f.cfg)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := srv.Shutdown(last); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return <-served
}

// certify makes a certificate for the names by which clients of this machine
// reach the server, and shows by what they can know it.
func (a *app) certify(asked string, bound net.Addr) (*tls.Config, error) {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	for _, addr := range []string{asked, bound.String()} {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		host, _, _ = strings.Cut(host, "%") // a zone is this machine's own
		if ip := net.ParseIP(host); !slices.Contains(hosts, host) && (ip == nil || !ip.IsUnspecified()) {
			hosts = append(hosts, host)
		}
	}
	cert, err := httpka.SelfSigned(hosts...)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(a.stderr, "kax: self-signed certificate for %s\nkax: its SHA-256 fingerprint is %s\n",
		strings.Join(hosts, ", "), fingerprint(cert.Leaf.Raw))
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

// fingerprint is in the form that openssl x509 -fingerprint shows.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}

// socketKeepalive reads TCP keepalive's settings back; nothing where that
// cannot be done, as when the connection has just closed.
func socketKeepalive(c net.Conn) any {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	s, err := tcpka.Get(sc)
	if err != nil {
		return nil
	}
	return timeline.Options(s)
}

// serveEvent says what happened to a connection.
func serveEvent(e httpka.Event) string {
	asked := view.Clean(e.Method + " " + e.Target)
	if e.Method == "" {
		asked = "a request that is none" // net/http refuses it before any handler
	}
	text := ""
	switch e.Kind {
	case httpka.Opened:
		text = "open from " + e.Client.String()
	case httpka.Interim, httpka.Upgrade:
		text = fmt.Sprintf("%s → %d", asked, e.Status)
	case httpka.Response:
		text = fmt.Sprintf("%s → %d, request %d on this connection", asked, e.Status, e.Nth)
		if e.Connection != "" {
			text += ", Connection: " + view.Clean(e.Connection)
		}
		if e.KeepAlive != "" {
			text += ", Keep-Alive: " + view.Clean(e.KeepAlive)
		}
	case httpka.Error:
		err := e.Err
		if op := (*net.OpError)(nil); errors.As(err, &op) {
			err = op.Err // without addresses, which the first line has
		}
		text = fmt.Sprintf("%s: the response could not be sent: %s", asked, view.Clean(err.Error()))
	case httpka.Closed:
		text = "closed: " + view.Clean(e.Reason)
		if e.Method != "" {
			text += ", " + asked + " is left without an answer"
		}
		if e.Idle > 0 {
			text += ", " + timeline.Brief(e.Idle) + " after the last response"
		}
	}
	return text // an idle close has none: it comes with Closed
}
