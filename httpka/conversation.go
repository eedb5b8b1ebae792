package httpka

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// Why a direction of a [Conversation] cannot be read on. The error of a
// [Finding] wraps one of them.
var (
	ErrNotHTTP   = errors.New("not HTTP/1")
	ErrTLS       = fmt.Errorf("%w: TLS", ErrNotHTTP)
	ErrHTTP2     = fmt.Errorf("%w: HTTP/2", ErrNotHTTP)
	ErrHead      = errors.New("malformed head")           // RFC 9112 sections 2.2 and 5
	ErrFraming   = errors.New("no end of the message")    // where it ends cannot be told: section 6.3
	ErrLong      = errors.New("head of more than 64 KiB") // or as much as that of trailers
	ErrPipelined = errors.New("too much pipelined")
	ErrCut       = errors.New("closed inside a message") // section 8
	ErrGap       = errors.New("bytes are missing")
)

const (
	maxHead     = 64 << 10  // bytes of a head or a trailer section, and of what is held back
	maxRequests = 1000      // pipelined, without a response
	maxTargets  = 256 << 10 // bytes of their methods and targets
	smallBuffer = 512       // bytes that a direction keeps for the next head
	smallQueue  = 16        // requests there is room kept for
)

// A Conversation finds the HTTP/1 messages of one connection, in bytes that
// are fed to it in pieces of any size, direction by direction. It pairs the
// n-th final response with the n-th request, and tells after each whether the
// connection may be used again. The zero Conversation is ready for use, at the
// beginning of both directions. For a connection joined midway, call Gap with
// -1 in both directions first.
//
// A request must be fed before its response. Its methods must not be called
// at the same time.
//
// Bodies are not kept: of each direction up to 64 KiB of a head are, and of
// 1000 requests or 256 KiB of targets what their responses need. Between
// messages it is about 1 KiB, and 5 at most.
type Conversation struct {
	// OnFinding is called before Feed, Gap and Close return. It may be nil, must not
	// call them, and has the Finding only until it returns.
	OnFinding func(*Finding)
	// Familiar makes reading quicker. Conversations may share one, if no two of them
	// are fed at the same time. It may be nil.
	Familiar *Familiar
	// NoTargets leaves Target empty in all messages: they are what costs an
	// allocation in most.
	NoTargets bool

	tunnel   bool    // the connection has left HTTP
	unpaired bool    // after a gap: which request a response answers is not known
	half     [2]half // of the client, of the server
	queue    []asked // requests that wait for their final response
	targets  int     // bytes in there
	requests int     // found so far
	whole    int     // the last of them that was complete
	answered int     // the last of them whose final response has begun

	current pairing // of the present response
	lately  lately
	ahead   *Head // that may have been read of what is fed, or nil
}

// Reset makes c one of another connection, at the beginning of both directions.
// It keeps OnFinding, and memory for what is to come.
func (c *Conversation) Reset() {
	clear(c.queue)
	*c = Conversation{OnFinding: c.OnFinding, NoTargets: c.NoTargets, Familiar: c.Familiar, queue: c.queue[:0], lately: c.lately, half: [2]half{
		{buf: c.half[0].emptied()}, {buf: c.half[1].emptied()},
	}}
}

// readState is where a direction is.
type readState uint8

const (
	atHead    readState = iota // or before it
	atBody                     // of known length
	atChunks                   // RFC 9112 section 7.1
	atClose                    // in a body that ends with the connection
	atHeld                     // behind a CONNECT or Upgrade that is not answered yet
	atTunnel                   // after one that was accepted
	atSeeking                  // after a gap
	atStopped                  // for good
)

// half is one direction.
type half struct {
	state  readState
	closed bool
	pos    int64  // the offset of the next byte that is not yet read
	buf    []byte // a head that has not come whole, or what is held back
	scan   headScan

	Finding  // of the message under way
	says     options
	faulty   bool // the framing of the message is not to be trusted
	violated bool // stopped by what is not HTTP
	sought   bool // the head being read was found behind a gap: it may be none
	left     int64
	chunks   chunks
}

// idle reports that the direction is between two messages.
func (h *half) idle() bool { return h.state == atHead && len(h.buf) == 0 }

func direction(fromServer bool) int {
	if fromServer {
		return 1
	}
	return 0
}

// Unanswered returns how many requests wait for their final response, as far
// as that is known.
func (c *Conversation) Unanswered() int { return len(c.queue) }

// Feed takes the next bytes of a direction. It keeps none of them. After
// Close they are ignored.
func (c *Conversation) Feed(fromServer bool, b []byte) {
	if h := &c.half[direction(fromServer)]; !h.closed {
		c.feed(fromServer, h, b)
	}
}

// FeedHead is Feed, where b begins with a head that may have been read: by
// [Familiar.ReadHead], of b itself. NoTargets must be set.
func (c *Conversation) FeedHead(fromServer bool, b []byte, head *Head) {
	c.ahead = head
	c.Feed(fromServer, b)
	c.ahead = nil
}

func (c *Conversation) feed(fromServer bool, h *half, b []byte) {
	for len(b) > 0 {
		n := len(b)
		switch h.state {
		case atHead:
			n = c.head(fromServer, h, b)
		case atBody:
			n = int(min(int64(n), h.left))
			c.body(fromServer, h, int64(n))
		case atChunks:
			n = c.chunked(fromServer, h, b)
		case atClose:
			h.Message.Body += int64(n)
			h.pos += int64(n)
		case atHeld:
			c.hold(fromServer, h, b)
		case atSeeking:
			if beginsMessage(fromServer, b) {
				h.state, h.sought = atHead, true
				continue
			}
			h.pos += int64(n)
		default: // nothing is looked for any more
			h.pos += int64(n)
		}
		b = b[n:]
	}
}

// Close says that a direction has ended, by FIN or RST. A body that is
// delimited by the close is complete then, whichever it was (RFC 9112
// section 8).
func (c *Conversation) Close(fromServer bool) {
	h := &c.half[direction(fromServer)]
	if h.closed {
		return
	}
	h.closed = true
	c.ended(fromServer, h)
}

func (c *Conversation) ended(fromServer bool, h *half) {
	switch {
	case h.state == atClose:
		c.complete(fromServer, h)
	case h.state == atBody, h.state == atChunks, h.state == atHead && len(h.buf) > 0:
		c.broken(fromServer, h, ErrCut, atStopped)
	}
}

// Gap says that the next n bytes of a direction are missing, or with a
// negative n that their number is not known. Inside a body, or a chunk, that
// is longer than that, reading goes on. Elsewhere the message is broken, and
// the direction is lost until a piece begins with a start-line, and fields
// behind it if there is more. Which request a response answers is known again
// when a request comes while none is waiting, and no response under way.
func (c *Conversation) Gap(fromServer bool, n int64) {
	h := &c.half[direction(fromServer)]
	switch {
	case h.closed || n == 0:
		return
	case h.state == atStopped || h.state == atTunnel || h.state == atSeeking:
	case h.state == atClose:
		h.Message.Body += max(n, 0)
	case h.state == atBody && n > 0 && n <= h.left:
		c.body(fromServer, h, n)
		return
	case h.state == atChunks && n > 0 && h.chunks.skip(n):
		h.Message.Body += n
	default:
		h.renew(fromServer)
		c.broken(fromServer, h, ErrGap, atSeeking)
	}
	h.pos += max(n, 0)
}

// tell tells of the message under way.
func (c *Conversation) tell(h *half, s Stage, r Reuse, err error) {
	if c.OnFinding != nil {
		h.Stage, h.Reuse, h.Err = s, r, err
		c.OnFinding(&h.Finding)
	}
}

// head takes bytes of a head, and of empty lines before it, and says how many.
func (c *Conversation) head(fromServer bool, h *half, b []byte) int {
	data, had := b, len(h.buf)
	if had > 0 {
		h.buf = append(h.buf, b[:min(len(b), maxHead-had)]...)
		data = h.buf
	} else {
		h.renew(fromServer)
	}
	if n := emptyLine(data); n > 0 { // RFC 9112 section 2.2
		h.buf = h.buf[:0]
		h.pos += int64(n)
		return n - had
	}
	f, end, err := new(headFields), 0, error(nil)
	if c.ahead.begins(fromServer, data) {
		f, end = &c.ahead.fields, c.ahead.tell(&h.Message)
	} else {
		c.lately.noTargets = c.NoTargets
		end, err = h.scan.read(data[:min(len(data), maxHead)], &h.Message, f, &c.lately, c.Familiar)
	}
	if end == 0 && err == nil {
		if len(data) < maxHead {
			if had == 0 {
				h.buf = append(h.buf, b...)
			}
			return len(b)
		}
		err = ErrLong
	}
	if err != nil {
		h.buf = h.buf[:had]
		if h.sought { // it was none: a body that looked like one
			h.pos += int64(had + len(b))
			h.buf, h.state, h.sought = h.emptied(), atSeeking, false
			return len(b)
		}
		c.broken(fromServer, h, err, atStopped)
		return 0
	}
	h.sought = false
	h.Message.Connection, h.Message.KeepAlive = c.lately.string(f.connection.value), c.lately.string(f.keepAlive.value)
	h.says = readOptions(f.connection.value)
	h.buf = h.emptied() // f is not of it any more
	h.pos += int64(end)
	h.Message.HeadEnd = h.pos
	if fromServer {
		c.response(h, f)
	} else {
		c.request(h, f)
	}
	return end - had
}

// renew makes ready for a message, unless one is under way.
func (h *half) renew(fromServer bool) {
	if h.idle() || h.state == atHeld {
		h.Message = Message{FromServer: fromServer, Length: -1, Start: h.pos}
		h.scan = headScan{}
	}
}

// emptied is the buffer for the next head: what is large is let go.
func (h *half) emptied() []byte {
	if cap(h.buf) > smallBuffer {
		return nil
	}
	return h.buf[:0]
}

func (c *Conversation) request(h *half, f *headFields) {
	c.requests++
	h.Message.Nth = c.requests
	framing, err := h.frame(f, false)
	q := asked{
		pairing: pairing{
			nth: h.Message.Nth, is: pairKnown, close: h.says.close, old: h.old(), faulty: h.faulty,
			// RFC 9110 section 7.8: Upgrade counts if Connection names it, and not in HTTP/1.0.
			switches: h.Message.Method == http.MethodConnect || f.upgrade && h.says.upgrade && h.Message.Version != "HTTP/1.0",
		},
		method: h.Message.Method, target: h.Message.Target,
	}
	server := &c.half[1]
	if c.unpaired && len(c.queue) == 0 && (server.idle() || server.state == atSeeking) {
		c.unpaired = false
	}
	if !c.unpaired {
		if len(c.queue) < maxRequests && c.targets+q.size() <= maxTargets {
			c.queue = append(c.queue, q)
			c.targets += q.size()
		} else {
			err = ErrPipelined
		}
	}
	c.begin(h, framing, err)
}

func (c *Conversation) response(h *half, f *headFields) {
	client := &c.half[0]
	c.current = pairing{}
	switch {
	case len(c.queue) > 0:
		q := &c.queue[0]
		c.current = q.pairing
		h.Message.Nth, h.Message.Method, h.Message.Target = q.nth, q.method, q.target
	case !c.unpaired && (client.state != atHead || client.idle()):
		c.current.is = pairNobody // and no part of a request's head has come that it could answer
	}
	framing, err := h.frame(f, true)
	if h.Message.Interim() {
		c.begin(h, framing, err)
		return
	}
	if c.current.is == pairKnown {
		c.answered = c.current.nth
	}
	c.begin(h, framing, err)
	switch {
	case framing == BodyTunnel:
		c.leave(client)
	case c.current.is == pairKnown && c.current.switches && client.state == atHeld:
		c.release(client)
	}
}

// begin tells of a head, and reads on behind it.
func (c *Conversation) begin(h *half, framing Framing, err error) {
	h.Message.Framing = framing
	c.tell(h, HeadComplete, c.reuse(h), nil)
	switch {
	case err != nil:
		c.broken(h.Message.FromServer, h, err, atStopped)
	case framing == BodyLength && h.left > 0:
		h.state = atBody
	case framing == BodyChunked:
		h.state, h.chunks = atChunks, chunks{}
	case framing == BodyUntilClose:
		h.state = atClose
	default:
		c.complete(h.Message.FromServer, h)
	}
}

func (c *Conversation) body(fromServer bool, h *half, n int64) {
	h.Message.Body += n
	h.pos += n
	if h.left -= n; h.left == 0 {
		c.complete(fromServer, h)
	}
}

func (c *Conversation) chunked(fromServer bool, h *half, b []byte) int {
	n, data, done, err := h.chunks.take(b)
	h.Message.Body += data
	h.pos += int64(n)
	switch {
	case err != nil:
		c.broken(fromServer, h, err, atStopped)
	case done:
		c.complete(fromServer, h)
	}
	return n
}

// complete tells that a message is, and makes ready for what follows.
func (c *Conversation) complete(fromServer bool, h *half) {
	h.Message.End = h.pos
	h.state = atHead
	if !fromServer {
		c.whole = h.Message.Nth
		switch {
		case c.tunnel:
			h.state = atTunnel
		case c.waits(h.Message.Nth):
			h.state = atHeld
		}
		c.tell(h, MessageComplete, Reuse{}, nil)
		h.rest()
		return
	}
	if h.Message.Framing == BodyTunnel {
		h.state = atTunnel
	}
	r := c.reuse(h)
	if c.current.is == pairKnown && !h.Message.Interim() {
		c.targets -= c.queue[0].size()
		if c.queue = slices.Delete(c.queue, 0, 1); len(c.queue) == 0 && cap(c.queue) > smallQueue {
			c.queue = nil
		}
	}
	c.tell(h, MessageComplete, r, nil)
	h.rest()
}

// rest lets go of a complete message whose strings are long.
func (h *half) rest() {
	if m := &h.Message; max(len(m.Method), len(m.Target), len(m.Phrase), len(m.Connection), len(m.KeepAlive)) > maxKept {
		*m = Message{}
	}
}

// broken tells that a message is, and how the direction goes on.
func (c *Conversation) broken(fromServer bool, h *half, err error, then readState) {
	h.state = then
	h.violated = errors.Is(err, ErrNotHTTP) || errors.Is(err, ErrHead) || errors.Is(err, ErrFraming)
	h.pos += int64(len(h.buf))
	h.buf = h.emptied()
	var r Reuse
	if h.Message.HeadEnd > 0 {
		r = c.reuseBroken(h, err)
	}
	c.unpaired = true
	if fromServer && !errors.Is(err, ErrCut) { // after a close they stay unanswered
		c.queue, c.targets = nil, 0
	}
	c.tell(h, MessageBroken, r, err)
	// Whether the server leaves HTTP will not be known.
	if client := &c.half[0]; fromServer && client.state == atHeld {
		client.renew(false)
		c.broken(false, client, err, then)
	}
}
