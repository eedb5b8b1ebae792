package cli

import (
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"kax/internal/web"
)

type uiFlags struct {
	listen string
	open   bool
}

func (a *app) uiCmd() *cobra.Command {
	var f uiFlags
	cmd := &cobra.Command{
		Use:   "ui [FILE]",
		Short: "a page in the browser: run experiments, watch them, compare them",
		Long: `Serves a page on loopback until ^C, and prints its address. On the page one
chooses the demo or a lab and its settings, sees what they will lead to before
it runs, and watches the packets and requests arrive; then prediction and
reality lie over each other. It opens captures (FILE, or dropped on the page),
watches an interface where kax may capture, and keeps the last 8 runs to
compare; each can be downloaded as pcapng, records and report.

The address has a token that works once: it gives the browser a session, without
which nothing is answered. Nothing is loaded from elsewhere.`,
		Example: `  kax ui
  kax ui demo.pcapng
  kax ui --listen 127.0.0.1:8080`,
		Args: atMost(1),
		RunE: a.run(func(cmd *cobra.Command, args []string) error { return a.ui(cmd, f, args) }),
	}
	fs := cmd.Flags()
	fs.StringVar(&f.listen, "listen", "127.0.0.1:0", "the page's `address`, on loopback; port 0 takes a free one")
	fs.BoolVar(&f.open, "open", false, "show the page in the browser")
	return cmd
}

func (a *app) ui(cmd *cobra.Command, f uiFlags, files []string) error {
	_, addr, err := listenAddress(f.listen, false)
	if err != nil {
		return err
	}
	if addr, err = loopbackOnly(addr); err != nil {
		return err
	}
	for _, name := range files {
		if _, err := os.Stat(name); err != nil {
			return err // names the file
		}
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find kax itself: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", addr)
	if err != nil {
		return listenHint(err)
	}
	menu, err := a.newMenu()
	if err != nil {
		l.Close()
		return err
	}
	srv, err := web.NewServer(l, web.Config{
		Version: a.version, Experiments: menu.experiments(), Args: menu.args, Predict: menu.predict,
		Read: func(file string) []string { return []string{"read", "--json", "--frames", "--", file} },
		Command: func(args ...string) *exec.Cmd {
			c := exec.Command(self, args...)
			endWithParent(c)
			return c
		},
		Log: log.New(a.stderr, "kax: ", 0),
	})
	if err != nil {
		l.Close()
		return err
	}
	url := srv.URL()
	_, err = fmt.Fprintln(a.stdout, url)
	for _, name := range files {
		if err == nil {
			if name, err = filepath.Abs(name); err == nil { // "-x" is no flag then
				err = srv.Open(name)
			}
		}
	}
	if err == nil && f.open {
		openBrowser(url, func(err error) {
			fmt.Fprintf(a.stderr, "kax: --open: %v; open the address yourself\n", err)
		})
	}
	if err != nil {
		return errors.Join(err, srv.Close())
	}
	return srv.Serve(cmd.Context())
}

// loopbackOnly refuses an address that others may reach.
func loopbackOnly(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if host == "localhost" {
		host = "127.0.0.1" // whatever the name has been made to stand for
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return net.JoinHostPort(host, port), nil
	}
	return "", withHint(usage(fmt.Errorf("--listen %s: the page runs programs for whoever reaches it, so it is on loopback only", addr)),
		"127.0.0.1:0; from elsewhere, ssh -L 8080:127.0.0.1:PORT")
}

// openBrowser shows an address in the user's browser. failed is told where that
// cannot be, as without a desktop; it may be later.
func openBrowser(url string, failed func(error)) {
	var cmd *exec.Cmd
	switch runtime.GOOS {
	case "darwin":
		cmd = exec.Command("open", url)
	case "windows":
		cmd = exec.Command("rundll32", "url.dll,FileProtocolHandler", url)
	default:
		cmd = exec.Command("xdg-open", url)
	}
	if err := cmd.Start(); err != nil {
		failed(err)
		return
	}
	go func() {
		if err := cmd.Wait(); err != nil {
			failed(fmt.Errorf("%s: %w", cmd.Args[0], err))
		}
	}()
}
