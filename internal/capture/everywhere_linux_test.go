package capture_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"kax/internal/capture"
	"kax/internal/need"
	"kax/internal/wire"

	"golang.org/x/sys/unix"
)

// On every interface at once each packet is there once for each that it passes,
// and says which: lo for what stays on the machine, whatever its address, and
// both ends of a cable that is in one network.
func TestLiveOnEveryInterface(t *testing.T) {
	t.Parallel()
	ip := need.Tool(t, "ip")
	inNamespace(t, func() error {
		for _, args := range []string{
			"link add out0 type veth peer name in0", "addr add 192.0.2.1/24 dev out0", "link set out0 up", "link set in0 up",
			"neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev out0",
		} {
			if out, err := exec.Command(ip, strings.Fields(args)...).CombinedOutput(); err != nil {
				return fmt.Errorf("ip %s: %w: %s", args, err, out)
			}
		}
		index := map[string]int{}
		for _, name := range []string{"lo", "out0", "in0"} {
			ifi, err := net.InterfaceByName(name)
			if err != nil {
				return err
			}
			index[name] = ifi.Index
		}
		l, port, err := listen("192.0.2.1:0")
		if err != nil {
			return err
		}
		defer l.Close()
		every, err := start("", port)
		if err != nil {
			return err
		}
		defer every.Close()
		out, err := start("out0", port)
		if err != nil {
			return err
		}
		defer out.Close()

		var atHome tally
		if err := talk(l, []int{1, 1000, 30000}, nothing); err != nil { // an own address
			return err
		}
		if err := atHome.finish(every); err != nil {
			return err
		}
		if err := atHome.check(port, 31001); err != nil {
			return err
		}
		for i, p := range atHome.packets {
			if p.Interface != index["lo"] {
				return fmt.Errorf("packet %d on interface %d, want lo, %d", i, p.Interface, index["lo"])
			}
		}

		// Nobody is there, and the packet goes out all the same.
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		nobody := &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{192, 0, 2, 2}}
		if err := unix.Connect(fd, nobody); !errors.Is(err, unix.EINPROGRESS) {
			return fmt.Errorf("connect: %w", err)
		}
		seen := map[int]string{}
		for range 2 {
			p, err := syn(every)
			if err != nil {
				return err
			}
			seen[p.Interface] = string(p.Data)
		}
		alone, err := syn(out)
		if err != nil {
			return err
		}
		if data := string(alone.Data); alone.Interface != index["out0"] || seen[index["out0"]] != data || seen[index["in0"]] != data {
			return fmt.Errorf("interfaces %v; every one: %x; out0: %x", index, seen, alone.Data)
		}
		var again tally
		if err := again.drain(every); err != nil || len(again.packets) > 0 {
			return fmt.Errorf("the packet again: %+v, %w", again.packets, err)
		}
		return nil
	})
}

// syn returns the next segment, a copy, which must be a SYN. A filter also lets
// through what it cannot decide about, as MLD's IPv6 packets with an option.
func syn(live *capture.Live) (capture.Packet, error) {
	for {
		p, ok, err := live.Next(guard)
		if err != nil || !ok {
			return p, errors.Join(errors.New("no SYN"), err)
		}
		var s wire.Segment
		switch err := wire.Decode(p.Link, p.Data, &s); {
		case errors.Is(err, wire.ErrNotTCP):
			continue
		case err != nil || s.Flags != wire.SYN:
			return p, fmt.Errorf("%v of %v, %w: no SYN", s.Flags, s.Src, err)
		}
		p.Data = []byte(string(p.Data))
		return p, nil
	}
}

// The packets of a tunnel have no Ethernet header.
func TestTunnel(t *testing.T) {
	t.Parallel()
	ip := need.Tool(t, "ip")
	inNamespace(t, func() error {
		// tun.rst: an interface of raw IP packets, as long as this is open.
		tun, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
		need.Permission(t, "open /dev/net/tun", err)
		defer tun.Close()
		req, err := unix.NewIfreq("t0")
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(int(tun.Fd()), unix.TUNSETIFF, req); err != nil {
			return err
		}
		for _, args := range []string{"addr add 192.0.2.1/24 dev t0", "link set t0 up"} {
			if out, err := exec.Command(ip, strings.Fields(args)...).CombinedOutput(); err != nil {
				return fmt.Errorf("ip %s: %w: %s", args, err, out)
			}
		}
		for _, on := range []string{"", "t0"} {
			live, err := start(on, 80)
			if err != nil {
				return err
			}
			defer live.Close()
			_, _ = net.DialTimeout("tcp4", "192.0.2.2:80", 50*time.Millisecond) // a goroutine would be in another network
			p, ok, err := live.Next(5 * time.Second)
			if err != nil || !ok {
				return fmt.Errorf("no packet on %q: %w", on, err)
			}
			var s wire.Segment
			if err := wire.Decode(p.Link, p.Data, &s); err != nil || p.Link != wire.Raw || s.Flags != wire.SYN {
				t.Errorf("%v: %+v, %v", p.Link, s, err)
			}
		}
		return nil
	})
}

// The kernel takes VLAN tags out of frames that come in; they are put back.
func TestLiveVLAN(t *testing.T) {
	t.Parallel()
	ip := need.Tool(t, "ip")
	inNamespace(t, func() error {
		for _, args := range []string{
			"link add out0 type veth peer name in0", "link set out0 up", "link set in0 up",
		} {
			if out, err := exec.Command(ip, strings.Fields(args)...).CombinedOutput(); err != nil {
				return fmt.Errorf("ip %s: %w: %s", args, err, out)
			}
		}
		live, err := start("in0", 4711)
		if err != nil {
			return err
		}
		defer live.Close()
		// To everybody, tagged for VLAN 7 with priority 3: a SYN to port 4711.
		frame, err := hex.DecodeString("ffffffffffff" + "020000000001" + "81006007" + "0800" +
			"4500002800004000400600" + "00c0000201c0000202" + "04d21267000000010000000050020400" + "00000000")
		if err != nil {
			return err
		}
		out, err := net.InterfaceByName("out0")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: out.Index}); err != nil {
			return fmt.Errorf("send a frame: %w", err)
		}
		p, err := syn(live)
		if err != nil {
			return err
		}
		if string(p.Data) != string(frame) || p.Length != len(frame) {
			return fmt.Errorf("%x of %d bytes, want %x", p.Data, p.Length, frame)
		}
		return nil
	})
}
