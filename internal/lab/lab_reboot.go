package lab

import (
	"errors"
	"net/http"
	"syscall"
	"time"

	"kax/httpka"
	"kax/internal/hosts"
	"kax/internal/timeline"
	"kax/tcpka"
)

func rebootLab() Lab {
	return Lab{
		Name:     "reboot",
		Question: "what if the peer forgot us?",
		Teaches: "A server that was started anew is there, and knows nothing of old connections: its kernel answers the first thing that comes on one by RST. " +
			"With TCP keepalive that is the first probe, and the client's pool has let the connection go (ECONNRESET) before anybody needs it. " +
			"Without it, it is the next request: a POST is lost.",
		World:    "With Linux's defaults the first probe comes after 2 h (tcp(7), man-pages 6.03, 2023), with Go's after 15 s (net/dial.go, Go 1.26, 2026). The count and the interval do not matter: the first probe is answered.",
		Topology: "client ──── server, which loses its memory",
		Settings: Settings{TCP: tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 3}},
		Needs:    []Need{needFilter()},
		Runs:     withAndWithout,
		Run:      func(b *Bench) error { return b.Each(reboot) },
	}
}

func reboot(r *Run) error {
	_, server, asker, err := r.Asked(httpka.ServerConfig{})
	if err != nil {
		return err
	}
	socket := asker.Socket()
	name := Named(socket)
	if err := server.restart(); err != nil {
		return err
	}
	r.Step(r.Name, "#%d, %s: the server has forgotten its connections", r.Story(name).N, r.Text)
	if r.Client.Enabled {
		if err := asker.Wait(r.ctx); err != nil { // until the pool has let it go
			return err
		}
	} else {
		plan, err := r.plan(r.TCP)
		if err != nil {
			return err
		}
		if err := r.Sleep(plan.First().Latest + slack); err != nil {
			return err
		}
		r.Check(isEstablished(socket.TCPConn), "after %v the connection is ESTABLISHED, for this end.", plan.First().Latest)
	}
	r.Step(r.Name, "the next request")
	req, err := http.NewRequestWithContext(r.ctx, http.MethodPost, server.URL("/keep"), nil)
	if err != nil {
		return err
	}
	x := asker.Exchange(req, httpka.Bounds{Timeout: requestTimeout})
	s := r.Story(name)
	resets, err := server.Count("Tcp", "OutRsts")
	if err != nil {
		return err
	}
	rst := s.Of("rst").By(timeline.Server)
	probes := s.Of("probe")
	if r.Client.Enabled {
		r.Check(probes.Len() == 1 && rst.Len() == 1 && errors.Is(socket.Err(), syscall.ECONNRESET),
			"the first probe was answered by RST, %s later; the pool's connection ended: %v.", timeline.Brief(between(probes.First(), rst.First())), cause(socket.Err()))
		r.Check(x.Err == nil && x.Status == http.StatusOK && len(asker.Sockets()) == 2, "the next request, a POST, went out on a new connection: %d.", x.Status)
	} else {
		r.Check(probes.Len() == 0 && rst.Len() == 1 && errors.Is(x.Err, syscall.ECONNRESET), "the next request, a POST, was answered by RST, and is lost: %v.", cause(x.Err))
	}
	// The first is the one that goes out when the connections are forgotten, and is lost.
	r.Check(resets == 2, "the server's kernel has sent %d resets: one was lost when it forgot, the other answered.", resets)
	return nil
}

// restart has the host forget the connections that it has accepted, without a
// word to anybody.
func (h *Host) restart() error {
	lift, err := h.Silence()
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range h.accepted() {
		errs = append(errs, hosts.Forget(c))
	}
	return errors.Join(append(errs, lift())...)
}
