package httpka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http/httptrace"
	"strings"
	"time"
)

func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return c.connect(ctx, network, address, false)
}

func (c *Client) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	return c.connect(ctx, network, address, true)
}

// connect opens a connection, and does TLS's handshake itself: what is watched
// is above TLS.
func (c *Client) connect(ctx context.Context, network, address string, secure bool) (net.Conn, error) {
	began := time.Now()
	conn, err := c.cfg.Dial(ctx, network, address)
	cc := &clientConn{Conn: conn, client: c, connect: time.Since(began)}
	if err == nil && secure {
		began = time.Now()
		cc.Conn, err = c.handshake(ctx, conn, address)
		cc.handshake = time.Since(began)
	}
	if err != nil {
		if conn != nil {
			conn.Close()
		}
		return nil, err
	}
	cc.talk.OnFinding = cc.found
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns.opened()
	c.number++
	cc.number = c.number
	cc.host = c.hostOf(hostKey(secure, address))
	cc.host.open[cc] = struct{}{}
	return cc, nil
}

func (c *Client) handshake(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	cfg := c.cfg.TLS.Clone()
	if cfg == nil {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		cfg.ServerName = host
	}
	cfg.NextProtos = []string{"http/1.1"} // RFC 7301
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	t := tls.Client(conn, cfg)
	err := t.HandshakeContext(ctx)
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(t.ConnectionState(), err)
	}
	if err != nil {
		return nil, handshakeError(err)
	}
	return t, nil
}

// handshakeError says what a failed handshake of TLS means here.
func handshakeError(err error) error {
	// RFC 7301 section 3.2. crypto/tls has no value to compare with; a test
	// holds the text.
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "remote error" && strings.Contains(op.Err.Error(), "no application protocol") {
		return fmt.Errorf("%w: the server takes none of the protocols offered, HTTP/1.1: %w", ErrNotHTTP, err)
	}
	return fmt.Errorf("TLS handshake: %w", err)
}

func (c *Client) forget(cc *clientConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := cc.host.open[cc]; ok {
		delete(cc.host.open, cc)
		c.conns.closed()
	}
}
