package httpka

import (
	"fmt"
	"net/http"
)

// Framing is how the end of a message's body is found (RFC 9112 section 6.3).
type Framing uint8

// The ways to find it.
const (
	BodyNone       Framing = iota // there is none: the message ends with its head
	BodyLength                    // by Content-Length
	BodyChunked                   // by the chunked coding
	BodyUntilClose                // of a response, by the end of the connection
	BodyTunnel                    // there is no end: another protocol follows the head
	BodyUnknown                   // not to be found
)

func (f Framing) String() string {
	switch f {
	case BodyNone:
		return "none"
	case BodyLength:
		return "length"
	case BodyChunked:
		return "chunked"
	case BodyUntilClose:
		return "until close"
	case BodyTunnel:
		return "tunnel"
	}
	return "unknown"
}

// frame decides by RFC 9112 section 6.3 where the message ends whose head has
// just been read, item by item, and whether that is to be trusted.
func (h *half) frame(f *headFields, fromServer bool) (Framing, error) {
	m := &h.Message
	// Section 6.1: with both, a connection is not used again after the
	// response. HTTP/1.0 knows no Transfer-Encoding.
	h.faulty = f.coded && (f.hasLength || m.Version == "HTTP/1.0")
	h.left = 0
	switch {
	case m.Status == 101, m.Method == http.MethodConnect && m.Status/100 == 2: // items 1 and 2
		h.faulty = false
		return BodyTunnel, nil
	case fromServer && m.Method == http.MethodHead, m.Status/100 == 1, m.Status == 204, m.Status == 304: // item 1
		h.faulty = false
		return BodyNone, nil
	case f.coded: // items 3 and 4
		switch {
		case f.last && f.chunked == 1 && !f.badCode && m.Version != "HTTP/1.0":
			return BodyChunked, nil
		case fromServer:
			h.faulty = h.faulty || f.badCode || f.chunked > 0
			return BodyUntilClose, nil
		}
		h.faulty = true
		return BodyUnknown, fmt.Errorf("%w: Transfer-Encoding", ErrFraming)
	case f.badLength: // item 5
		h.faulty = true
		return BodyUnknown, fmt.Errorf("%w: Content-Length", ErrFraming)
	case f.hasLength: // item 6
		m.Length, h.left = f.length, f.length
		return BodyLength, nil
	case fromServer: // item 8
		return BodyUntilClose, nil
	}
	return BodyNone, nil // item 7
}
