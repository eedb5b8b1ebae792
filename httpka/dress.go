package httpka

import (
	"bytes"
	"fmt"
	"strings"
)

// dress makes the head of a final response what the configured server says:
// net/http can send neither the version HTTP/1.0 to a client of HTTP/1.1, nor
// know while a handler runs whether the connection will stay open. The response
// counts already.
func (c *serverConn) dress(head []byte, e Event) []byte {
	cfg := c.server.cfg
	if cfg.HTTP10 {
		head, e.Version = asHTTP10(head), "HTTP/1.0"
	}
	if !cfg.Announce || e.KeepAlive != "" || !readOptions([]byte(e.Connection)).persist(e.Version) {
		return head
	}
	var limits []string
	if cfg.IdleTimeout > 0 {
		limits = append(limits, fmt.Sprintf("timeout=%d", int64(cfg.IdleTimeout.Seconds())))
	}
	if cfg.MaxRequests > 0 {
		limits = append(limits, fmt.Sprintf("max=%d", cfg.MaxRequests-c.responses))
	}
	if len(limits) == 0 {
		return head
	}
	lines := "Keep-Alive: " + strings.Join(limits, ", ") + "\r\n\r\n"
	if e.Connection == "" {
		// RFC 9110 section 7.6.1: it is to be listed there.
		lines = "Connection: keep-alive\r\n" + lines
	}
	return append(bytes.TrimSuffix(bytes.Clone(head), []byte("\r\n")), lines...)
}

// asHTTP10 is the head as a server of HTTP/1.0 sends it. That closes without a
// word: "Connection: close" came with HTTP/1.1.
func asHTTP10(head []byte) []byte {
	out := []byte("HTTP/1.0")
	for line := range bytes.Lines(head[len(out):]) {
		if !bytes.EqualFold(bytes.TrimSpace(line), []byte("Connection: close")) {
			out = append(out, line...)
		}
	}
	return out
}
