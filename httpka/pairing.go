package httpka

// asked is what is remembered of a request until it is answered.
type asked struct {
	pairing
	method, target string
}

// pairing is what a response answers, and what that decides. What is not known
// of a request is false.
type pairing struct {
	nth      int
	is       pairs
	close    bool // it said so
	old      bool // HTTP/1.0 without keep-alive
	faulty   bool // its framing is not to be trusted
	switches bool // CONNECT or Upgrade: what comes behind it may not be HTTP
}

type pairs uint8

const (
	pairUnseen pairs = iota // a request that is not known
	pairKnown               // the first in the queue
	pairNobody              // there is no request
)

// waits reports that what follows the request depends on its response.
func (c *Conversation) waits(nth int) bool {
	n := len(c.queue)
	return n > 0 && c.queue[n-1].nth == nth && c.queue[n-1].switches && c.answered < nth
}

// hold keeps what a client sends before it knows whether it has left HTTP.
func (c *Conversation) hold(fromServer bool, h *half, b []byte) {
	if len(h.buf)+len(b) > maxHead {
		h.renew(fromServer)
		c.broken(fromServer, h, ErrPipelined, atStopped)
		h.pos += int64(len(b))
		return
	}
	h.buf = append(h.buf, b...)
}

// release reads what was held: the server has stayed with HTTP.
func (c *Conversation) release(client *half) {
	b := client.buf
	client.buf, client.state = nil, atHead
	c.feed(false, client, b)
	if client.closed {
		c.ended(false, client)
	}
}

// leave ends HTTP in the client's direction, after the request that is under
// way there.
func (c *Conversation) leave(client *half) {
	c.tunnel = true
	switch client.state {
	case atHead, atHeld, atSeeking:
		client.pos += int64(len(client.buf))
		client.state, client.buf = atTunnel, nil
	}
}

// size is what a waiting request counts, in bytes.
func (q *asked) size() int { return len(q.method) + len(q.target) }
