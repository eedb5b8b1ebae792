package lab

import (
	"errors"
	"net/http"
	"time"

	"kax/httpka"
	"kax/internal/timeline"
)

func keepLab() Lab {
	return Lab{
		Name:     "keep",
		Question: "what does a persistent connection save?",
		Teaches: "All requests but the first go out at once on the connection that is there: one handshake in all, and no goodbye between. " +
			"A handshake takes a round trip in which nothing is asked, and a new connection's window starts small again.",
		World: "A handshake costs a round trip, and light in glass makes 200 km in a millisecond: 1 ms to a place 100 km away, 60 ms across an ocean of 6000 km; " +
			"TLS adds one more (TLS 1.3: RFC 8446, 2018) or two (TLS 1.2: RFC 5246, 2008).",
		Topology: "client ──── server",
		Settings: Settings{Requests: 5},
		Runs: func(Settings) []Variant {
			return []Variant{{Name: "without", Text: "a connection for each request"}, {Name: "with", Text: "one for all"}}
		},
		Run: func(b *Bench) error {
			var costs []cost
			for _, r := range b.Runs {
				c, err := keepOrNot(r)
				if err != nil {
					return err
				}
				costs = append(costs, c)
			}
			without, with := costs[0], costs[1]
			b.Check(with.packets < without.packets && with.saved == b.Requests-1,
				"%d requests took %d packets without, and %d with: %d handshakes were saved, %s of waiting here, and as many round trips on any network.",
				b.Requests, without.packets, with.packets, with.saved, timeline.Brief(with.time))
			return nil
		},
	}
}

// cost is what requests have taken.
type cost struct {
	packets int
	saved   int           // handshakes, by the client's word
	time    time.Duration // that these would have taken
}

func keepOrNot(r *Run) (c cost, err error) {
	client, server, err := r.Pair()
	if err != nil {
		return c, err
	}
	srv, err := server.Serve(r.Server, httpka.ServerConfig{})
	if err != nil {
		return c, err
	}
	r.Step(r.Name, "%d requests, %s", r.Requests, r.Text)
	reuse := r.Name == "with"
	asker := client.Client(r.Client, httpka.ClientConfig{NoReuse: !reuse})
	for range r.Requests {
		req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, server.URL("/keep"), nil)
		if err != nil {
			return c, err
		}
		x := asker.Exchange(req, httpka.Bounds{Timeout: requestTimeout})
		if x.Err != nil {
			return c, x.Err
		}
		if x.Reused {
			c.saved, c.time = c.saved+1, c.time+x.Saved
		}
		if !reuse {
			if err := errors.Join(asker.Wait(r.ctx), srv.Wait(r.ctx)); err != nil {
				return c, err
			}
		}
	}
	asker.Close()
	if err := errors.Join(asker.Wait(r.ctx), srv.Wait(r.ctx)); err != nil {
		return c, err
	}
	opened, err := client.Count("Tcp", "ActiveOpens")
	if err != nil {
		return c, err
	}
	handshakes, requests := 0, 0
	for _, socket := range asker.Sockets() {
		s := r.Story(Named(socket))
		handshakes += s.Of("established").Len()
		requests += s.Of("request").Len()
		c.packets += s.packets()
	}
	want := requests
	if reuse {
		want = 1
	}
	r.Check(requests == r.Requests && handshakes == want && opened == want,
		"%d requests, %s; the kernel counts %s.", requests, timeline.Count(handshakes, "handshake"), timeline.Count(opened, "opened connection"))
	return c, nil
}
