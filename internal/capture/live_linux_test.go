package capture_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"kax/internal/capture"

	"golang.org/x/sys/unix"
)

func TestLiveTakesEachPacketOnce(t *testing.T) {
	for name, addr := range map[string]string{"ipv4": "127.0.0.1:0", "ipv6": "[::1]:0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The last are single packets, thanks to offload.
			sizes := []int{1, 1000, 30000}
			inNamespace(t, func() error {
				other, _, err := listen(addr)
				if err != nil {
					return err
				}
				defer other.Close()
				l, port, err := listen(addr)
				if err != nil {
					return err
				}
				defer l.Close()
				live, err := start("lo", port)
				if err != nil {
					return err
				}
				defer live.Close()

				if err := talk(other, sizes, nothing); err != nil {
					return err
				}
				if p, ok, err := live.Next(quiet); ok || err != nil {
					return fmt.Errorf("a packet of another port: %x, %v", p.Data, err)
				}
				if err := talk(l, sizes, nothing); err != nil {
					return err
				}
				var got tally
				if err := got.finish(live); err != nil {
					return err
				}
				if p, ok, err := live.Next(quiet); ok || err != nil {
					return fmt.Errorf("a packet after the last: %x, %v", p.Data, err)
				}
				if n, err := live.Dropped(); n != 0 || err != nil {
					return fmt.Errorf("dropped %d, %v", n, err)
				}
				return got.check(port, 1+1000+30000)
			})
		})
	}
}

// check wants a whole connection with size bytes each way, nothing twice,
// in the order of the stamps.
func (c *tally) check(port uint16, size int) error {
	var errs []error
	if want := slices.Repeat([]int{size}, 2); !slices.Equal(slices.Collect(maps.Values(c.bytes)), want) || c.syns != 2 {
		errs = append(errs, fmt.Errorf("bytes by port %v and %d SYNs, want %v and 2", c.bytes, c.syns, want))
	}
	frames := make(map[string]int)
	for i, p := range c.packets {
		s := c.segments[i]
		if s.Src.Port() != port && s.Dst.Port() != port {
			errs = append(errs, fmt.Errorf("packet %d is of %v and %v, not of port %d", i, s.Src, s.Dst, port))
		}
		if before, ok := frames[string(p.Data)]; ok {
			errs = append(errs, fmt.Errorf("packet %d is packet %d again", i, before))
		}
		frames[string(p.Data)] = i
		if i > 0 && p.Time.Before(c.packets[i-1].Time) {
			errs = append(errs, fmt.Errorf("packet %d has a stamp before that of %d", i, i-1))
		}
		if missing := s.Len - len(s.Payload); missing != 0 || p.Length != len(p.Data) {
			errs = append(errs, fmt.Errorf("packet %d: length %d, of which %d are here, and %d bytes of data are not", i, p.Length, len(p.Data), missing))
		}
	}
	if !slices.ContainsFunc(c.packets, func(p capture.Packet) bool { return p.Time.Nanosecond()%1000 != 0 }) {
		errs = append(errs, errors.New("all stamps are whole microseconds"))
	}
	return errors.Join(errs...)
}

// Where the ring is full the packets that have come stay, and the rest is
// counted. A second capture, which is read all the time, tells how many there
// were.
func TestLiveDropped(t *testing.T) {
	t.Parallel()
	inNamespace(t, func() error {
		l, port, err := listen("127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close()
		lazy, err := start("lo", port)
		if err != nil {
			return err
		}
		defer lazy.Close()
		busy, err := start("lo", port)
		if err != nil {
			return err
		}
		defer busy.Close()

		const messages, size = 800, 40000 // each way: twice what the ring holds
		sizes := slices.Repeat([]int{size}, messages)
		var all tally
		if err := talk(l, sizes, nowAndThen(func() error { return all.drain(busy) })); err != nil {
			return err
		}
		if err := all.finish(busy); err != nil {
			return err
		}
		if n, err := busy.Dropped(); n != 0 || err != nil {
			return fmt.Errorf("the capture that was read dropped %d, %v", n, err)
		}
		if got := all.bytes[port]; got != messages*size {
			return fmt.Errorf("%d bytes from the server, want %d", got, messages*size)
		}

		var first tally
		if err := first.drain(lazy); err != nil {
			return err
		}
		dropped, err := lazy.Dropped()
		if err != nil {
			return err
		}
		if dropped == 0 || len(first.packets)+dropped != len(all.packets) {
			return fmt.Errorf("%d packets and %d dropped, of %d", len(first.packets), dropped, len(all.packets))
		}
		for i, p := range first.packets {
			if w := all.packets[i]; p.Length != w.Length || !bytes.Equal(p.Data, w.Data) {
				return fmt.Errorf("packet %d is not the same in both captures", i)
			}
		}

		// With room again it goes on, all around the ring, and the count stays.
		var again, once tally
		if err := talk(l, sizes, nowAndThen(func() error { return errors.Join(again.drain(lazy), once.drain(busy)) })); err != nil {
			return err
		}
		if err := errors.Join(again.finish(lazy), once.finish(busy)); err != nil {
			return err
		}
		if len(again.packets) != len(once.packets) {
			return fmt.Errorf("afterwards %d packets, of %d", len(again.packets), len(once.packets))
		}
		if n, err := lazy.Dropped(); n != dropped || err != nil {
			return fmt.Errorf("afterwards %d dropped, %v; want %d", n, err, dropped)
		}
		return nil
	})
}

// nowAndThen calls f every so often.
func nowAndThen(f func() error) func() error {
	n := 0
	return func() error {
		if n++; n%50 != 0 {
			return nil
		}
		return f()
	}
}

// A packet is cut where no more of it is wanted, and its length is known.
func TestLiveSnap(t *testing.T) {
	t.Parallel()
	inNamespace(t, func() error {
		l, port, err := listen("127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close()
		live, err := capture.OpenLive()
		if err != nil {
			return err
		}
		defer live.Close()
		const snap = 100
		if err := live.Start(capture.Filter{Interface: "lo", Ports: []uint16{port}, Snap: snap}); err != nil {
			return err
		}
		if err := talk(l, []int{1000}, nothing); err != nil {
			return err
		}
		var got tally
		if err := got.finish(live); err != nil {
			return err
		}
		long := 0
		for i, p := range got.packets {
			if len(p.Data) != min(p.Length, snap) {
				return fmt.Errorf("packet %d: %d bytes of %d", i, len(p.Data), p.Length)
			}
			if p.Length > snap {
				long++
			}
		}
		if long != 2 || got.bytes[port] != 1000 {
			return fmt.Errorf("%d long packets, %d bytes of data; want 2 and 1000", long, got.bytes[port])
		}
		return nil
	})
}

func TestLiveNextWithoutPackets(t *testing.T) {
	t.Parallel()
	inNamespace(t, func() error {
		live, err := start("lo", 1)
		if err != nil {
			return err
		}
		for _, wait := range []time.Duration{0, -1, time.Millisecond} {
			if p, ok, err := live.Next(wait); ok || err != nil || p.Data != nil {
				return fmt.Errorf("waiting %v: %+v, %v, %v", wait, p, ok, err)
			}
		}
		return live.Close()
	})
}

// An interface that goes away ends the capture with an error, or a reader
// would wait for ever.
func TestLiveInterfaceGoesDown(t *testing.T) {
	t.Parallel()
	inNamespace(t, func() error {
		live, err := start("lo", 1)
		if err != nil {
			return err
		}
		defer live.Close()
		if err := down("lo"); err != nil {
			return err
		}
		if _, ok, err := live.Next(guard); ok || !errors.Is(err, unix.ENETDOWN) {
			return fmt.Errorf("%v, %w; want ENETDOWN", ok, err)
		}
		return nil
	})
}

// down turns an interface off.
func down(iface string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(iface)
	if err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req) // no flag: not up
}

func TestStartNamesTheInterface(t *testing.T) {
	t.Parallel()
	inNamespace(t, func() error {
		const want = "capture on no-such0: "
		live, err := start("no-such0", 1)
		if err == nil {
			live.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			return fmt.Errorf("error %q, want %s…", err, want)
		}
		return nil
	})
}

func TestOpenLiveWithoutPermission(t *testing.T) {
	t.Parallel()
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the thread has lost its capabilities, and ends.
		runtime.LockOSThread()
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			result <- fmt.Errorf("capset: %w", err)
			return
		}
		live, err := capture.OpenLive()
		if err == nil {
			live.Close()
		}
		result <- err
	}()
	if err := <-result; !errors.Is(err, unix.EPERM) {
		t.Errorf("error %v, want EPERM", err)
	}
}

// A program that the kernel would not take is refused in words.
func TestLiveFilterTooLong(t *testing.T) {
	t.Parallel()
	inNamespace(t, func() error {
		var f capture.Filter
		for i := range 300 {
			f.Hosts = append(f.Hosts, netip.AddrFrom16([16]byte{0x20, 1, 14: byte(i >> 8), 15: byte(i)}))
		}
		for hosts, want := range map[int]error{300: capture.ErrFilter, 5: nil} {
			live, err := capture.OpenLive()
			if err != nil {
				return err
			}
			defer live.Close()
			f.Hosts = f.Hosts[:hosts]
			if err := live.Start(f); !errors.Is(err, want) {
				return fmt.Errorf("%d hosts: %w", hosts, err)
			}
			f.Hosts = f.Hosts[:300]
		}
		return nil
	})
}

// A reader that is held up for a second loses nothing, however the packets are
// spread over that time.
func TestLiveHeldUp(t *testing.T) {
	t.Parallel()
	inNamespace(t, func() error {
		l, port, err := listen("127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close()
		live, err := start("lo", port)
		if err != nil {
			return err
		}
		defer live.Close()
		const messages = 120
		blockIsOver := func() error { time.Sleep(capture.Latency); return nil }
		if err := talk(l, slices.Repeat([]int{1}, messages), blockIsOver); err != nil {
			return err
		}
		var got tally
		if err := got.finish(live); err != nil {
			return err
		}
		if n, err := live.Dropped(); n != 0 || err != nil || got.bytes[port] != messages {
			return fmt.Errorf("%d bytes of %d; dropped %d, %w", got.bytes[port], messages, n, err)
		}
		return nil
	})
}
