package timeline_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kax/httpka"
	"kax/internal/timeline"
)

// The sentences that a run ends with: each is borne out by the story, and
// another story has another sentence.
func TestVerdicts(t *testing.T) {
	const (
		handshake = " (a handshake took 20 µs here; over a network it costs a round trip)."
		off       = "No probe was sent: TCP keepalive was off at both ends."
	)
	count := func(n int) *int { return &n }
	for _, test := range []struct {
		name   string
		header timeline.Header
		do     func(*world)
		kernel *int
		want   []string
	}{
		{"nothing at all", keepalive(0, 0), func(*world) {}, nil, nil},
		{"one request", keepalive(0, 0), func(w *world) {
			w.talk(40000).open().get(false, "")
		}, nil, []string{off}},
		{"one that closes", keepalive(0, 0), func(w *world) {
			c := w.talk(40000).open()
			c.get(false, "close")
			c.close(fromServer)
		}, nil, []string{
			"Connection #1 carried one request, because the server said Connection: close: a handshake and a goodbye for it alone.",
			off,
		}},
		{"each its own", keepalive(0, 0), func(w *world) {
			for port := range uint16(6) {
				c := w.talk(40000 + port).open()
				c.get(false, "close")
				c.rst(fromServer)
			}
		}, nil, []string{
			"Connections #1, #2, #3, #4 and 2 more carried one request each, because the server said Connection: close: a handshake and a reset for every request.",
			"None of the 6 requests reused a connection: 6 handshakes" + handshake,
			off,
		}},
		{"one that met the close", keepalive(0, 0), func(w *world) {
			c := w.talk(40000).open()
			c.get(false, "")
			c.fin(fromServer)
			c.tell(httpka.Event{Kind: httpka.Request, Method: "GET", Reused: true})
			c.data(fromClient, 100)
			c.rst(fromServer)
			again := w.talk(40001).open()
			again.tell(httpka.Event{Kind: httpka.Retry, Method: "GET"})
			again.get(false, "")
		}, nil, []string{
			"Of 3 requests 1 went out on a connection that was used before, and none was answered there: 2 handshakes" + handshake,
			"1 request met the server's close on its way, and the client sent it again on a new connection: it may do so with GET, and not with POST.",
			off,
		}},
		{"the client says close", keepalive(0, 0), func(w *world) {
			for port := range uint16(2) {
				c := w.talk(40000 + port).open()
				c.tell(httpka.Event{Kind: httpka.Request, Connection: "Close"})
				c.get(false, "close")
				c.close(fromServer)
			}
		}, nil, []string{
			"None of the 4 requests reused a connection: 2 handshakes" + handshake,
			off,
		}},
		{"both say close", keepalive(0, 0), func(w *world) {
			for port := range uint16(2) {
				c := w.talk(40000 + port).open()
				if port == 0 {
					c.tell(httpka.Event{Kind: httpka.Request, Method: "GET", Connection: "close"})
					c.data(fromClient, 10)
					c.tell(httpka.Event{Kind: httpka.Response, FromServer: true, Connection: "close"})
					c.data(fromServer, 10)
				} else {
					c.get(false, "x, close")
				}
				c.close(fromServer)
			}
		}, nil, []string{
			"Connections #1 and #2 carried one request each, because one side or the other said Connection: close: a handshake and a goodbye for every request.",
			"None of the 2 requests reused a connection: 2 handshakes" + handshake,
			off,
		}},
		{"keepalive off, reuse on", keepalive(0, 0), func(w *world) {
			c := w.talk(40000).open()
			c.get(false, "")
			c.get(true, "")
			c.get(true, "")
		}, nil, []string{
			"3 requests used connection #1: 2 handshakes saved" + handshake,
			off + " HTTP reuse did not need it: 2 of 3 requests reused a connection.",
		}},
		{"one saved, on one of two", keepalive(0, 0), func(w *world) {
			w.talk(40000).open().get(false, "")
			c := w.talk(40001).open()
			c.get(false, "")
			c.get(true, "")
		}, nil, []string{
			"2 requests used connection #2: 1 handshake saved" + handshake,
			off + " HTTP reuse did not need it: 1 of 3 requests reused a connection.",
		}},
		{"one probe", keepalive(time.Second, 0), func(w *world) {
			c := w.talk(40000).open()
			c.get(false, "")
			w.pass(1014 * time.Millisecond)
			c.answered(fromClient)
		}, count(1), []string{
			"1 probe from the client crossed connection #1, answered; it carried no byte, and the HTTP server saw none of it: all that it did there was to answer 1 request.",
			"The probe came 14 ms after the moment that the settings name: the kernel rounds its timers up.",
			"The kernel's own counter (TCPKeepAlive) rose by 1: no probe is missing here.",
		}},
		{"one probe, early by less than a tick", keepalive(time.Second, 0), func(w *world) {
			c := w.talk(40000).open()
			c.get(false, "")
			w.pass(998 * time.Millisecond)
			c.answered(fromClient)
		}, nil, []string{
			"1 probe from the client crossed connection #1, answered; it carried no byte, and the HTTP server saw none of it: all that it did there was to answer 1 request.",
			"The probe came 1.98 ms before the moment that the settings name: the kernel counts idle time in whole ticks.",
		}},
		{"one probe of one byte, unanswered", keepalive(time.Second, 0), func(w *world) {
			c := w.talk(40000).open()
			c.data(fromClient, 10)
			w.pass(1014 * time.Millisecond)
			c.probe(fromClient, 1)
		}, nil, []string{
			"1 probe from the client crossed connection #1, unanswered; it carried 1 byte of no meaning.",
			"The probe came 14 ms after the moment that the settings name: the kernel rounds its timers up.",
		}},
		{"several", keepalive(time.Second, 0), func(w *world) {
			c := w.talk(40000).open()
			c.get(false, "")
			c.get(true, "")
			w.pass(1014 * time.Millisecond)
			c.answered(fromClient)
			w.pass(1030 * time.Millisecond)
			c.answered(fromClient)
		}, count(3), []string{
			"2 requests used connection #1: 1 handshake saved" + handshake,
			"2 probes from the client crossed connection #1, all answered; none carried a byte, and the HTTP server saw none of it: all that it did there was to answer 2 requests.",
			"Probes came 14 ms to 30 ms after the moment that the settings name, and never before it: the kernel rounds its timers up.",
			"The kernel's own counter (TCPKeepAlive) rose by 3, but this timeline has 2 probes: the difference was not captured.",
		}},
		{"both sides, bytes, some answered", keepalive(time.Second, time.Second), func(w *world) {
			c := w.talk(40000).open()
			c.data(fromClient, 10)
			c.data(fromServer, 10)
			w.pass(time.Second)
			c.probe(fromClient, 1)
			c.ack(fromServer)
			c.probe(fromClient, 1)
			c.probe(fromServer, 0)
		}, count(0), []string{
			"3 probes from the client (2) and the server (1) crossed connection #1, 1 answered; they carried 2 bytes of no meaning.",
			"Probes came from 1.00 s before to 40 µs after the moment that the settings name.",
			"The kernel's own counter (TCPKeepAlive) rose by 0, but this timeline has 3 probes: not all of them were keepalive's.",
		}},
		{"the server's, none answered", keepalive(0, time.Second), func(w *world) {
			c := w.talk(40000).open()
			c.data(fromServer, 10)
			for range 2 {
				w.pass(1010 * time.Millisecond)
				c.probe(fromServer, 0)
			}
		}, count(1), []string{
			"2 probes from the server crossed connection #1, none answered; none carried a byte.",
			"Probes came 10 ms after the moment that the settings name, and never before it: the kernel rounds its timers up.",
			"The kernel's own counter (TCPKeepAlive) rose by 1, but this timeline has 2 probes: not all of them were keepalive's.",
		}},
		{"not quiet for long enough", keepalive(2*time.Hour, time.Minute), func(w *world) {
			c := w.talk(40000).open()
			c.data(fromClient, 10)
			w.pass(2500 * time.Millisecond)
			c.data(fromClient, 10)
		}, count(0), []string{
			"No probe was sent: the kernel waits for 1m of quiet (keepidle), and no connection was quiet for longer than 2.50 s.",
			"The kernel's own counter (TCPKeepAlive) did not rise: it has sent no probe either.",
		}},
		{"quiet for long enough", keepalive(time.Second, 0), func(w *world) {
			c := w.talk(40000).open()
			c.data(fromClient, 10)
			w.pass(2500 * time.Millisecond)
			c.data(fromClient, 10)
		}, count(1), []string{
			"No probe was seen, although a connection was quiet for 2.50 s and keepidle was 1s.",
			"The kernel's own counter (TCPKeepAlive) rose by 1, but this timeline has 0 probes: the difference was not captured.",
		}},
		{"idle timeout of a live peer", keepalive(time.Second, 0), func(w *world) {
			c := w.talk(40000).open()
			c.get(false, "")
			w.pass(1014 * time.Millisecond)
			c.answered(fromClient)
			w.pass(500 * time.Millisecond)
			c.tell(httpka.Event{Kind: httpka.IdleClose, FromServer: true})
			c.close(fromServer)
		}, nil, []string{
			"1 probe from the client crossed connection #1, answered; it carried no byte, and the HTTP server saw none of it: all that it did there was to answer 1 request.",
			"The server closed #1 1.51 s after its last response, its idle timeout, and 500 ms after a probe had been answered: a live peer is not a usable connection.",
			"The probe came 14 ms after the moment that the settings name: the kernel rounds its timers up.",
		}},
		{"idle timeout without probes", keepalive(0, 0), func(w *world) {
			c := w.talk(40000).open()
			c.get(false, "")
			w.pass(time.Second)
			c.tell(httpka.Event{Kind: httpka.IdleClose, FromServer: true})
			c.close(fromServer)
		}, nil, []string{
			off,
			"The server closed #1 1.00 s after its last response, its idle timeout, which only another request would have started anew.",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, test.header)
			test.do(w)
			sum := w.finishWith(test.kernel)
			checkSums(t, w, sum)
			if !slices.Equal(sum.Verdicts, test.want) {
				t.Errorf("verdicts:\n%s\nwant:\n%s", strings.Join(sum.Verdicts, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// However much has happened, a reader gets six sentences.
func TestVerdictsAtMostSix(t *testing.T) {
	w := newWorld(t, keepalive(time.Second, time.Second))
	for port := range uint16(5) {
		c := w.talk(40000 + port).open()
		c.get(false, "close")
		c.close(fromServer)
	}
	for port := range uint16(5) {
		c := w.talk(50000 + port).open()
		c.get(false, "")
		c.get(true, "")
		w.pass(1014 * time.Millisecond)
		c.answered(fromClient)
		c.tell(httpka.Event{Kind: httpka.IdleClose, FromServer: true})
		c.close(fromServer)
	}
	n := 0
	sum := w.finishWith(&n)
	checkSums(t, w, sum)
	if len(sum.Verdicts) != 6 || !strings.Contains(sum.Verdicts[5], "rose by 0, but") {
		t.Errorf("%d verdicts: %q", len(sum.Verdicts), sum.Verdicts)
	}
}

// Counters see a probe when they next look: its lateness is not the kernel's.
func TestNoLatenessFromCounters(t *testing.T) {
	h := keepalive(time.Second, 0)
	h.Source = timeline.Counters
	w := newWorld(t, h)
	c := w.talk(40000).open()
	c.data(fromClient, 10)
	w.pass(1014 * time.Millisecond)
	c.answered(fromClient)
	for _, v := range w.finish().Verdicts {
		if strings.Contains(v, "moment") {
			t.Error(v)
		}
	}
}
