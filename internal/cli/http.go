package cli

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"kax/httpka"
	"kax/internal/timeline"
	"kax/internal/view"
)

func (a *app) httpCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:                        "http",
		Short:                      "HTTP persistent connections by themselves",
		Example:                    "  kax http serve",
		Args:                       a.subcommand,
		RunE:                       a.run(showHelp),
		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(a.serveCmd())
	return cmd
}

type serveFlags struct {
	tcp    tcpFlags
	listen string
	cfg    httpka.ServerConfig
}

func (a *app) serveCmd() *cobra.Command {
	f := serveFlags{cfg: httpka.ServerConfig{CloseWith: httpka.FIN, IdleTimeout: time.Minute}}
	cmd := &cobra.Command{
		Use:   "serve [ADDR]",
		Short: "a server whose paths keep or close their connection",
		Long: `Serves HTTP on ADDR (default 127.0.0.1:3000) until ^C:

  /        says in plain words what there is
  /keep    answers and leaves the connection open for the next request
  /close   answers with "Connection: close" and closes

One line on stderr tells each thing that happens to a connection. TCP keepalive
of accepted connections is off unless one of its flags is given.`,
		Example: `  kax http serve
  kax http serve 127.0.0.1:8080 --idle-timeout 5s
  kax http serve --close-with rst
  kax http serve '[::1]:3000' --keepidle 10s`,
		Args: atMost(1),
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if f.listen != "" {
					return usage(errors.New("an ADDR and --listen: give one of them"))
				}
				f.listen = args[0]
			}
			return a.serve(cmd, f)
		}),
	}
	f.tcp.register(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.listen, "listen", "", "the `address`, like ADDR; port 0 takes a free one")
	fs.Var(duration(&f.cfg.IdleTimeout, notNegative), "idle-timeout", "close a connection that carries no request for so long; 0 is never")
	fs.Var(oneOf(&f.cfg.CloseWith, httpka.FIN, httpka.RST), "close-with", "how /close says goodbye")
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
	if _, err := fmt.Fprintf(a.stdout, "http://%s/\n", l.Addr()); err != nil {
		l.Close()
		return err
	}
	f.cfg.ErrorLog = log.New(a.stderr, "kax: ", 0)
	f.cfg.OnEvent = (&serveLog{app: a, ids: map[[2]netip.AddrPort]int{}}).event
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

// serveLog writes a line for each thing that happens to a connection.
type serveLog struct {
	app  *app
	mu   sync.Mutex
	ids  map[[2]netip.AddrPort]int // by both addresses, while open
	next int
}

func (s *serveLog) event(e httpka.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn := [2]netip.AddrPort{e.Client, e.Server}
	if e.Kind == httpka.Opened {
		s.next++
		s.ids[conn] = s.next
	}
	id := s.ids[conn]
	text := ""
	switch e.Kind {
	case httpka.Opened:
		text = "open from " + e.Client.String()
	case httpka.Response:
		asked := view.Clean(e.Method + " " + e.Target)
		if e.Method == "" {
			asked = "a request that is none" // net/http refuses it before any handler
		}
		text = fmt.Sprintf("%s → %d, request %d on this connection", asked, e.Status, e.Nth)
		if e.Connection != "" {
			text += ", Connection: " + e.Connection
		}
	case httpka.Closed:
		delete(s.ids, conn)
		text = "closed: " + e.Reason
		if e.Idle > 0 {
			text += ", " + timeline.Brief(e.Idle) + " after the last response"
		}
	default:
		return // the others come with one of these
	}
	fmt.Fprintf(s.app.stderr, "%s  #%d %s\n", e.Time.Format("15:04:05.000"), id, text)
}
