package capture_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"kax/internal/capture"
	"kax/internal/need"
	"kax/internal/netns"
	"kax/internal/wire"

	"golang.org/x/sys/unix"
)

// inNamespace runs f in a namespace on one CPU: packets then pass lo in the
// order in which they were stamped. Where no namespace is to be had it skips
// the test.
func inNamespace(t *testing.T, f func() error) {
	t.Helper()
	ran := false
	err := netns.Do(func() error {
		ran = true
		var all, one unix.CPUSet
		if err := unix.SchedGetaffinity(0, &all); err != nil {
			return fmt.Errorf("sched_getaffinity: %w", err)
		}
		for cpu := 0; one.Count() == 0; cpu++ {
			if all.IsSet(cpu) {
				one.Set(cpu)
			}
		}
		// The thread ends with f.
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			return fmt.Errorf("sched_setaffinity: %w", err)
		}
		return f()
	})
	if !ran {
		need.Permission(t, "make a network namespace", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A server's connections have no keepalive of their own, whose probes would
// come in between.
func listen(addr string) (net.Listener, uint16, error) {
	lc := net.ListenConfig{KeepAlive: -1}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, 0, err
	}
	return l, l.Addr().(*net.TCPAddr).AddrPort().Port(), nil
}

// talk opens a connection, sends each size as one write and back as another,
// and closes both ends. between is called after each.
func talk(l net.Listener, sizes []int, between func() error) error {
	d := net.Dialer{KeepAlive: -1}
	client, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		return err
	}
	defer server.Close()
	for _, size := range sizes {
		b := make([]byte, size)
		for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
			if _, err := way[0].Write(b); err != nil {
				return err
			}
			if _, err := io.ReadFull(way[1], b); err != nil {
				return err
			}
		}
		if err := between(); err != nil {
			return err
		}
	}
	if err := client.Close(); err != nil {
		return err
	}
	if n, err := server.Read(make([]byte, 1)); err != io.EOF {
		return fmt.Errorf("instead of the end %d bytes, %v", n, err)
	}
	return server.Close()
}

func nothing() error { return nil }

// A tally sums up the packets of one connection of talk.
type tally struct {
	packets   []capture.Packet // with data of their own
	segments  []wire.Segment
	syns      int
	fins      map[uint16]uint32 // by source port: what acknowledges the FIN
	finsAcked int
	bytes     map[uint16]int // by source port
}

func (c *tally) add(p capture.Packet) error {
	p.Data = bytes.Clone(p.Data)
	var s wire.Segment
	if err := wire.Decode(p.Link, p.Data, &s); errors.Is(err, wire.ErrNotTCP) {
		return nil // the filter cannot decide about MLD's packets, as they have an option
	} else if err != nil {
		return fmt.Errorf("packet %d: %w", len(c.packets), err)
	}
	if c.fins == nil {
		c.fins, c.bytes = make(map[uint16]uint32), make(map[uint16]int)
	}
	c.packets, c.segments = append(c.packets, p), append(c.segments, s)
	c.bytes[s.Src.Port()] += s.Len
	if s.Flags&wire.SYN != 0 {
		c.syns++
	}
	if s.Flags&wire.FIN != 0 {
		c.fins[s.Src.Port()] = s.Seq + uint32(s.Len) + 1
	}
	if end, ok := c.fins[s.Dst.Port()]; ok && s.Ack == end {
		c.finsAcked++
		delete(c.fins, s.Dst.Port())
	}
	return nil
}

// over reports that the connection has sent its last packet.
func (c *tally) over() bool { return c.finsAcked == 2 }

// quiet is how long nothing comes where there is nothing.
const quiet = 4 * capture.Latency

// drain adds the packets that are there.
func (c *tally) drain(live *capture.Live) error {
	for {
		p, ok, err := live.Next(quiet)
		if err != nil || !ok {
			return err
		}
		if err := c.add(p); err != nil {
			return err
		}
	}
}

// finish adds packets until the connection is over.
func (c *tally) finish(live *capture.Live) error {
	for end := time.Now().Add(guard); !c.over(); {
		p, ok, err := live.Next(time.Second)
		if err != nil {
			return err
		}
		if ok {
			if err := c.add(p); err != nil {
				return err
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("the connection does not end; %d packets", len(c.packets))
		}
	}
	return nil
}

func start(iface string, port uint16) (*capture.Live, error) {
	live, err := capture.OpenLive()
	if err != nil {
		return nil, err
	}
	if err := live.Start(capture.Filter{Interface: iface, Ports: []uint16{port}}); err != nil {
		live.Close()
		return nil, err
	}
	return live, nil
}
