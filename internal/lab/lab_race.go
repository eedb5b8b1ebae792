package lab

import (
	"errors"
	"net/http"
	"syscall"
	"time"

	"kax/httpka"
	"kax/internal/timeline"
)

func raceLab() Lab {
	return Lab{
		Name:     "race",
		Question: "what if request and FIN cross?",
		Teaches: "The server has closed, and its FIN is on its way when the client sends: the request is answered by RST. The client cannot know whether it was carried out. " +
			"A GET may be sent again, and Go's client does, on another connection, without a word. A POST may not (RFC 9110 section 9.2.2, 2022), and fails.",
		World: "The window is as wide as the way is long: half a round trip before each idle timeout. `kax http race` finds it on a server. " +
			"A client whose pool lets connections go before the server does is not in it.",
		Topology: "client ──── server\n        ←FIN, held up on the way",
		Settings: Settings{IdleTimeout: 2 * time.Second},
		Needs:    []Need{needFilter()},
		Runs: func(Settings) []Variant {
			return []Variant{{Name: http.MethodGet, Text: "idempotent"}, {Name: http.MethodPost, Text: "not idempotent"}}
		},
		Run: func(b *Bench) error { return b.Each(cross) },
	}
}

func cross(r *Run) error {
	client, server, err := r.Pair()
	if err != nil {
		return err
	}
	if _, err := server.Serve(r.Server, httpka.ServerConfig{IdleTimeout: r.IdleTimeout}); err != nil {
		return err
	}
	// Only the FIN is held up: what the request brings back gets through.
	if _, err := client.LoseFIN(); err != nil {
		return err
	}
	asker := client.Client(r.Client, httpka.ClientConfig{})
	if _, err := asker.Ask(server.URL("/keep"), requestTimeout); err != nil {
		return err
	}
	name := Named(asker.Socket())
	r.Step(r.Name, "#%d: idle until the server closes it", r.Story(name).N)
	if err := r.Await(name, func(s Story) bool { return s.Of("fin").Len() > 0 }); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(r.ctx, r.Name, server.URL("/keep"), nil)
	if err != nil {
		return err
	}
	x := asker.Exchange(req, httpka.Bounds{Timeout: requestTimeout})
	s := r.Story(name)
	fin, rst := s.Of("fin").First(), s.Of("rst").By(timeline.Server)
	sent := s.Of("data").By(timeline.Client).Last()
	resets, err := server.Count("Tcp", "OutRsts")
	if err != nil {
		return err
	}
	r.Check(fin.Side == timeline.Server && sent.At > fin.At && s.Of("request").Len() == 2, "the request left %s after the FIN had, and before that had arrived.", timeline.Brief(between(fin, sent)))
	r.Check(rst.Len() > 0 && rst.First().At > sent.At && resets >= rst.Len(), "the server's kernel answered it by RST.")
	all := r.Story(Conn{}).Of("retry")
	if r.Name == http.MethodGet {
		r.Check(x.Err == nil && x.Retried && x.Status == http.StatusOK && len(asker.Sockets()) == 2 && all.Len() == 1,
			"the client sent it again on a new connection by itself, and got %d.", x.Status)
		return nil
	}
	r.Check(errors.Is(x.Err, syscall.ECONNRESET) && !x.Retried && len(asker.Sockets()) == 1, "the client did not send it again: %v.", cause(x.Err))
	return nil
}
