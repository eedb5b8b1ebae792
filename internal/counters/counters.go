// Package counters tells what happens on a program's own TCP connections when
// no packet may be captured. What the program writes and closes goes through
// here; probes and their answers it infers from the kernel's TCP_INFO of each
// socket, read again and again.
//
// It sees no handshake, no acknowledgment and no sequence number, its times of
// probes are as good as the interval between two readings, and of what a peer
// sends it knows only the goodbye, when it is read, unless that end's socket is
// watched too.
package counters

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"kax/tcpka"
)

// An Observation is something that an end of a connection has sent.
type Observation struct {
	Time   time.Time
	From   netip.AddrPort
	To     netip.AddrPort
	Kind   tcpka.Kind // Established, Data, Probe, ProbeAnswer, FIN or RST
	Detail string
	Blur   time.Duration // how long before Time it may have been, at most
}

// A Watcher observes sockets.
type Watcher struct {
	mu    sync.Mutex
	conns []*Conn
	seen  []Observation // told since the last Poll, by something other than it
}

// A Conn is a connection under observation.
type Conn struct {
	*net.TCPConn
	w           *Watcher
	local, peer netip.AddrPort
	last        reading
	probed      time.Time // the last probe that was seen before its answer
	linger      bool      // whether Close says goodbye by FIN
	fin         bool      // CloseWrite has
	both        bool      // the other end is watched too, and tells for itself
	left        bool      // the peer has said goodbye
	closed      bool
}

// reading is the part of TCP_INFO that tells probes from data.
type reading struct {
	at         time.Time
	state      uint8 // of the connection
	segsOut    uint32
	segsIn     uint32
	sent       uint64 // bytes of data, repeats included
	received   uint64
	acked      uint64
	waiting    bool          // data is still to be sent or acknowledged
	unanswered uint8         // tcpi_probes
	heardAgo   time.Duration // since the last acknowledgment (tcpi_last_ack_recv, milliseconds)
}

// Watch begins to observe c. dialed says that this end opened the connection.
func (w *Watcher) Watch(c *net.TCPConn, dialed bool) (*Conn, error) {
	wc := &Conn{TCPConn: c, w: w, linger: true,
		local: addrPort(c.LocalAddr()), peer: addrPort(c.RemoteAddr())}
	if err := wc.read(&wc.last); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, other := range w.conns {
		if other.local == wc.peer && other.peer == wc.local {
			other.both, wc.both = true, true
		}
	}
	w.conns = append(w.conns, wc)
	if dialed {
		at := wc.last.at
		if wc.last.heardAgo > heardGrain { // on a busy machine a dial returns late
			at = at.Add(-wc.last.heardAgo)
		}
		w.tell(wc, at, tcpka.Established, "")
	}
	return wc, nil
}

// tell needs w.mu.
func (w *Watcher) tell(c *Conn, at time.Time, k tcpka.Kind, detail string) {
	w.seen = append(w.seen, Observation{Time: at, From: c.local, To: c.peer, Kind: k, Detail: detail})
	if k == tcpka.ProbeAnswer {
		last := &w.seen[len(w.seen)-1]
		last.From, last.To = last.To, last.From
	}
}

// unanswered tells of a probe that c has sent since the time of the last
// reading. It needs w.mu.
func (w *Watcher) unanswered(c *Conn, since time.Time) {
	w.tell(c, c.last.at, tcpka.Probe, "")
	c.probed = c.last.at
	w.seen[len(w.seen)-1].Blur = c.last.at.Sub(since)
}

// Poll reads every socket and returns what has been observed since the last
// call.
func (w *Watcher) Poll() []Observation {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.poll()
	}
	w.conns = slices.DeleteFunc(w.conns, func(c *Conn) bool { return c.closed })
	seen := w.seen
	w.seen = nil
	return seen
}

// poll needs w.mu.
func (c *Conn) poll() {
	var now reading
	if c.closed || c.read(&now) != nil {
		return // closed by its owner, who has told or will tell
	}
	last := c.last
	c.last = now
	// A reset that answers a probe leaves no time to see the one before the
	// other.
	if now.state == stateClose && last.state != stateClose && !last.waiting && now.unanswered > last.unanswered {
		c.w.unanswered(c, last.at)
		return
	}
	if now.sent != last.sent || now.received != last.received || now.acked != last.acked || now.state != last.state {
		return // data or a FIN went out, came in, or was acknowledged
	}
	// Data that a closed window holds back is asked for by segments of the same
	// form, and counted in the same places (tcp_send_probe0); keepalive then
	// sends none.
	if now.waiting {
		return
	}
	// An unanswered probe counts in tcpi_probes. An answered one leaves that
	// alone but is a segment out and a segment in, and restarts the time since
	// the last acknowledgment. The peer's probes do not restart it: they are
	// out of window and never reach tcp_ack().
	heard := now.at.Add(-now.heardAgo)
	switch elapsed := now.at.Sub(last.at); {
	case now.unanswered > last.unanswered:
		c.w.unanswered(c, last.at)
	case now.segsIn == last.segsIn || now.heardAgo >= last.heardAgo+elapsed-heardGrain:
	case last.heardAgo+elapsed < tcpka.MinTime-heardGrain: // too early for any keepidle: a window update
	// What went out since may be an answer to the peer's probe: another of its own
	// is a keepintvl away.
	case last.unanswered > 0 && (now.segsOut == last.segsOut || now.at.Sub(c.probed) < tcpka.MinTime-2*heardGrain):
		if heard.Before(c.probed) { // by the kernel's clock, which goes in jiffies
			heard = c.probed
		}
		c.w.tell(c, heard, tcpka.ProbeAnswer, "")
	case now.segsOut > last.segsOut:
		c.w.tell(c, heard, tcpka.Probe, "")
		c.w.tell(c, heard, tcpka.ProbeAnswer, "")
	}
}

// Observe observes c now, for someone who knows that something has just
// happened to it and is going to tell that too.
func (c *Conn) Observe() {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.poll()
}

// heardGrain is how much tcpi_last_ack_recv may lag behind the clock: it is
// kept in jiffies, 10 ms where HZ is 100.
const heardGrain = 11 * time.Millisecond

// Read tells of the peer's goodbye, which no counter shows.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	switch {
	case errors.Is(err, io.EOF):
		c.peerLeft(tcpka.FIN)
	case errors.Is(err, syscall.ECONNRESET):
		c.peerLeft(tcpka.RST)
	}
	return n, err
}

// peerLeft tells of a goodbye of the peer's, once.
func (c *Conn) peerLeft(k tcpka.Kind) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.peerGoodbye(k)
}

// peerGoodbye is peerLeft for who holds w.mu.
func (c *Conn) peerGoodbye(k tcpka.Kind) {
	if c.both || c.left {
		return
	}
	c.left = true
	c.w.seen = append(c.w.seen, Observation{Time: time.Now(), From: c.peer, To: c.local, Kind: k})
}

// Write tells of the data and writes it.
func (c *Conn) Write(b []byte) (int, error) {
	c.w.mu.Lock()
	c.w.tell(c, time.Now(), tcpka.Data, fmt.Sprintf("%d bytes", len(b)))
	c.w.mu.Unlock()
	return c.TCPConn.Write(b)
}

// SetLinger notes whether the connection will end in a reset.
func (c *Conn) SetLinger(sec int) error {
	if err := c.TCPConn.SetLinger(sec); err != nil {
		return err
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.linger = sec != 0
	return nil
}

// ReadFrom copies through Write, so that nothing goes out untold.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, r)
}

// CloseWrite tells of the FIN and sends it.
func (c *Conn) CloseWrite() error {
	c.w.mu.Lock()
	c.goodbye(tcpka.FIN)
	c.w.mu.Unlock()
	return c.TCPConn.CloseWrite()
}

// Close observes a last time and closes.
func (c *Conn) Close() error {
	c.w.mu.Lock()
	if !c.closed {
		kind := tcpka.FIN
		if !c.linger {
			kind = tcpka.RST
		}
		c.goodbye(kind)
		if c.last.state == stateClose && c.wasReset() {
			c.peerGoodbye(tcpka.RST)
		}
		c.closed = true
	}
	c.w.mu.Unlock()
	return c.TCPConn.Close()
}

// goodbye tells of the end of what this side sends, and before it of a FIN of
// the peer's that nobody has read, unless the kernel has ended the connection
// already. It needs w.mu.
func (c *Conn) goodbye(k tcpka.Kind) {
	if c.closed {
		return
	}
	c.poll()
	switch c.last.state {
	case stateClose:
		return
	case stateCloseWait:
		c.peerGoodbye(tcpka.FIN)
	}
	if k == tcpka.FIN && c.fin {
		return
	}
	c.fin = c.fin || k == tcpka.FIN
	c.w.tell(c, time.Now(), k, "")
}

// States of a connection (net/tcp_states.h).
const (
	stateClose     = 7 // reset, or given up
	stateCloseWait = 8 // the peer has said goodbye by FIN
)

// Supported reports whether this system has what a Watcher reads.
func Supported() error {
	if !haveInfo {
		return fmt.Errorf("TCP_INFO: %w on this system", errors.ErrUnsupported)
	}
	return nil
}

func addrPort(a net.Addr) netip.AddrPort {
	ap := a.(*net.TCPAddr).AddrPort() // of a *net.TCPConn
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
