package lab

import (
	"errors"
	"time"

	"kax/httpka"
	"kax/internal/timeline"
)

func closeLab() Lab {
	return Lab{
		Name:     "close",
		Question: "what does Connection: close cost?",
		Teaches: "Each request pays for a handshake before it and a goodbye after it. The server may say goodbye by FIN, " +
			"which leaves both sides to finish, or by RST, which voids the connection at once.",
		World: "A handshake costs a round trip, and light in glass makes 200 km in a millisecond: 1 ms to a place 100 km away, 60 ms across an ocean of 6000 km; " +
			"TLS adds one more (TLS 1.3: RFC 8446, 2018) or two (TLS 1.2: RFC 5246, 2008).",
		Topology: "client ──── server",
		Settings: Settings{Requests: 3},
		Runs: func(Settings) []Variant {
			return []Variant{
				{Name: "fin", Text: "after each response the server closes: FIN"},
				{Name: "rst", Text: "after each response the server closes with SO_LINGER 0: RST"},
			}
		},
		Run: func(b *Bench) error {
			for _, r := range b.Runs {
				if err := closeEach(r); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func closeEach(r *Run) error {
	client, server, err := r.Pair()
	if err != nil {
		return err
	}
	how, goodbye := httpka.CloseWith(r.Name), "FIN"
	if how == httpka.RST {
		goodbye = "RST"
	}
	srv, err := server.Serve(r.Server, httpka.ServerConfig{CloseWith: how})
	if err != nil {
		return err
	}
	r.Step(r.Name, "%d requests; %s", r.Requests, r.Text)
	asker := client.Client(r.Client, httpka.ClientConfig{})
	var took time.Duration
	for range r.Requests {
		t, err := asker.Ask(server.URL("/close"), requestTimeout)
		if err != nil {
			return err
		}
		took += t
		if err := errors.Join(asker.Wait(r.ctx), srv.Wait(r.ctx)); err != nil {
			return err
		}
	}
	handshakes, requests, goodbyes := 0, 0, 0
	for _, socket := range asker.Sockets() {
		s := r.Story(Named(socket))
		handshakes += s.Of("established").Len()
		requests += s.Of("request").Len()
		if s.By(timeline.Server).Of(string(how)).Len() > 0 {
			goodbyes++
		}
	}
	opens, err := client.Count("Tcp", "ActiveOpens")
	if err != nil {
		return err
	}
	r.Check(requests == r.Requests && handshakes == requests && opens == requests,
		"%d requests took %d handshakes, and %s each; the kernel counts %d opened connections.",
		requests, handshakes, timeline.Brief(took/time.Duration(r.Requests)), opens)
	r.Check(goodbyes == requests, "the server said goodbye %d times, by %s.", goodbyes, goodbye)
	return nil
}
