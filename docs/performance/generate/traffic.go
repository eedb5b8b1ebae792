package main

import (
	"container/heap"
	"iter"
	"math/rand/v2"
	"time"

	"kax/internal/capture"
	"kax/internal/wire"
)

// size is how much traffic there is.
type size struct {
	connections int
	length      int // of each, in units of the next two
}

const (
	exchanges = 104
	probes    = 280 // by the client, or by the server on every second connection
)

func (s size) requests() int { return s.connections * s.length * exchanges }
func (s size) probes() int   { return s.connections * s.length * probes }

// start is when the first connection opens.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const (
	probeInterval = 15 * time.Second
	apart         = 7 * time.Millisecond // one connection's opening from the next's
)

// packets yields them all, by time. Their data are valid until the next.
func (s size) packets() iter.Seq[capture.Packet] {
	return func(yield func(capture.Packet) bool) {
		var all queue
		for i := range s.connections {
			next, stop := iter.Pull(newConn(i).live(s.length))
			defer stop()
			if p, ok := next(); ok {
				all = append(all, pending{p, next})
			}
		}
		heap.Init(&all)
		for len(all) > 0 {
			first := &all[0]
			if !yield(first.packet) {
				return
			}
			p, ok := first.next()
			if !ok {
				heap.Pop(&all)
				continue
			}
			first.packet = p
			heap.Fix(&all, 0)
		}
	}
}

// queue has the next packet of each connection, the earliest first.
type queue []pending

type pending struct {
	packet capture.Packet
	next   func() (capture.Packet, bool)
}

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].packet.Time.Before(q[j].packet.Time) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(any)          { panic("connections are there from the start") }
func (q *queue) Pop() any {
	last := len(*q) - 1
	*q = (*q)[:last]
	return nil
}

// A conn is one connection: two ends on a path of a millisecond.
type conn struct {
	number         int
	random         *rand.Rand
	at             time.Time
	client, server end
	yield          func(capture.Packet) bool
	ended          bool // nobody wants more
	frame          []byte
	content        []byte
}

// live is the whole life.
func (c *conn) live(length int) iter.Seq[capture.Packet] {
	return func(yield func(capture.Packet) bool) {
		c.yield = yield
		c.open()
		done := 0
		for i := range exchanges * length {
			c.exchange()
			c.wait(time.Duration(c.random.IntN(5000)) * time.Millisecond)
			// Spread evenly over the exchanges.
			for ; done < (i+1)*probes/exchanges; done++ {
				c.probe()
			}
			if c.ended {
				return
			}
		}
		c.close()
	}
}

func (c *conn) wait(d time.Duration) { c.at = c.at.Add(d) }

// soon is a moment of a path or a program.
func (c *conn) soon() { c.wait(time.Duration(200+c.random.IntN(1600)) * time.Microsecond) }

func (c *conn) open() {
	c.send(&c.client, &c.server, wire.SYN, nil)
	c.soon()
	c.send(&c.server, &c.client, wire.SYN|wire.ACK, nil)
	c.soon()
	c.send(&c.client, &c.server, wire.ACK, nil)
	c.soon()
}

// exchange is a request, its response, and the acknowledgements of both.
func (c *conn) exchange() {
	c.transfer(&c.client, &c.server, c.request())
	if c.random.IntN(2) == 0 { // the server takes its time
		c.soon()
		c.send(&c.server, &c.client, wire.ACK, nil)
		c.wait(40 * time.Millisecond)
	}
	c.soon()
	c.transfer(&c.server, &c.client, c.response())
	c.soon()
	c.send(&c.client, &c.server, wire.ACK, nil)
}

const maxSegment = 1448 // in an Ethernet frame, with time stamps

func (c *conn) transfer(from, to *end, content []byte) {
	for len(content) > 0 {
		n := min(len(content), maxSegment)
		flags := wire.ACK
		if n == len(content) {
			flags |= wire.PSH
		}
		c.send(from, to, flags, content[:n])
		content = content[n:]
		c.wait(12 * time.Microsecond) // a frame at 1 Gbit/s
	}
}

// probe is as Linux sends it: an empty segment before what is next.
func (c *conn) probe() {
	from, to := &c.client, &c.server
	if c.number%2 == 1 {
		from, to = to, from
	}
	c.wait(probeInterval)
	from.seq--
	c.send(from, to, wire.ACK, nil)
	from.seq++
	c.soon()
	c.send(to, from, wire.ACK, nil)
}

func (c *conn) close() {
	c.wait(time.Second)
	c.send(&c.client, &c.server, wire.FIN|wire.ACK, nil)
	c.soon()
	c.send(&c.server, &c.client, wire.FIN|wire.ACK, nil)
	c.soon()
	c.send(&c.client, &c.server, wire.ACK, nil)
}
