package tcpka_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"kax/internal/hosts"
	"kax/internal/netns"
	"kax/internal/testnet"
	"kax/tcpka"
)

// Data that nobody acknowledges holds keepalive off: the retransmission timer
// rules, and the count of keepalive means nothing. With a user timeout it is
// that which ends the connection, without a probe.
func TestNoProbesWhileDataIsInFlight(t *testing.T) {
	for name, userTimeout := range map[string]time.Duration{"count": 0, "user timeout": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testnet.In(t, func() error { return unacknowledged(userTimeout) })
		})
	}
}

func unacknowledged(userTimeout time.Duration) error {
	l, err := untouched().Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	eager := tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 1, UserTimeout: userTimeout}
	c, err := eager.Dialer().Dial("tcp4", l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := hosts.Drop(l.Addr().(*net.TCPAddr).AddrPort().Port()); err != nil {
		return err
	}
	if _, err := c.Write([]byte("anybody?")); err != nil {
		return err
	}
	// Keepalive alone would give the peer up after 2.1 s.
	if err := c.SetReadDeadline(time.Now().Add(4 * time.Second)); err != nil {
		return err
	}
	begin := time.Now()
	_, err = c.Read(make([]byte, 1))
	lasted := time.Since(begin)
	n, cerr := netns.Counter("TcpExt", "TCPKeepAlive")
	if cerr != nil {
		return cerr
	}
	resent, cerr := netns.Counter("TcpExt", "TCPTimeouts")
	if cerr != nil {
		return cerr
	}
	open := lasted >= 4*time.Second
	if n != 0 || resent < 2 || open != (userTimeout == 0) || lasted < userTimeout {
		return fmt.Errorf("after %v: %w; %d probes, %d timeouts of retransmission", lasted, err, n, resent)
	}
	return nil
}
