package counters_test

import (
	"fmt"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kax/internal/need"
	"kax/internal/netns"
	"kax/tcpka"
)

func tcpInfo(t testing.TB, c syscall.Conn) *unix.TCPInfo {
	t.Helper()
	rc, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	var infoErr error
	if err := rc.Control(func(fd uintptr) {
		info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); err != nil || infoErr != nil {
		t.Fatal(err, infoErr)
	}
	return info
}

// inNamespace runs f in a network of its own, in which no other program
// probes. f must not end the test, being on another goroutine.
func inNamespace(t *testing.T, f func() error) {
	t.Helper()
	ran := false
	err := netns.Do(func() error {
		ran = true
		return f()
	})
	if !ran {
		need.Permission(t, "make a network namespace", err)
	}
	if err != nil {
		t.Error(err)
	}
}

// kernelProbes is how many keepalive probes the thread's namespace has sent.
func kernelProbes() (int, error) { return netns.Counter("TcpExt", "TCPKeepAlive") }

// The kernel counts probes too, and nothing else can.
func TestKernelCounts(t *testing.T) {
	t.Parallel()
	inNamespace(t, func() error {
		p, err := connect(t, probe, probe)
		if err != nil {
			return err
		}
		const n = 5
		if !p.until(func() bool { return p.total(tcpka.Probe) >= n }) {
			return fmt.Errorf("no %d probes: %v", n, p.seen)
		}
		before, err := kernelProbes()
		if err != nil {
			return err
		}
		p.poll() // one may go between a count and the look
		after, err := kernelProbes()
		if err != nil {
			return err
		}
		if seen := p.total(tcpka.Probe); seen < before || seen > after || seen != p.total(tcpka.ProbeAnswer) {
			t.Errorf("the kernel counts %d to %d probes, seen were %d, %d answers", before, after, seen, p.total(tcpka.ProbeAnswer))
		}
		return nil
	})
}

// Probes into nowhere are told one by one, and the first answer afterwards is
// its own probe's.
func TestUnansweredProbes(t *testing.T) {
	t.Parallel()
	inNamespace(t, func() error {
		p, err := connect(t, probe, off)
		if err != nil {
			return err
		}
		if err := setLoopback(false); err != nil {
			return err
		}
		const n = 2
		if !p.until(func() bool { return p.count(p.client, tcpka.Probe) >= n }) {
			return fmt.Errorf("no %d unanswered probes: %v", n, p.seen)
		}
		if got := p.total(tcpka.ProbeAnswer); got != 0 {
			t.Errorf("%d answers over a network that is down", got)
		}
		if err := setLoopback(true); err != nil {
			return err
		}
		if !p.until(func() bool { return p.count(p.server, tcpka.ProbeAnswer) == 1 }) {
			return fmt.Errorf("no answer: %v", p.seen)
		}
		kernel, err := kernelProbes()
		if err != nil {
			return err
		}
		if seen := p.count(p.client, tcpka.Probe); seen != kernel || p.total(tcpka.Probe) != seen {
			t.Errorf("the kernel counts %d probes, seen were %d: %v", kernel, seen, p.seen)
		}
		return nil
	})
}

// setLoopback turns the thread's lo on or off.
func setLoopback(up bool) error {
	if up {
		return netns.LoopbackUp()
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
		return err
	}
	req.SetUint16(req.Uint16() &^ unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}
