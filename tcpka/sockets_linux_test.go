package tcpka_test

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"kax/internal/need"
	"kax/tcpka"

	"golang.org/x/sys/unix"
)

var (
	loopbacks = map[string]string{"ipv4": "127.0.0.1:0", "ipv6": "[::1]:0"}

	odd   = tcpka.Settings{Enabled: true, Idle: 33 * time.Second, Interval: 7 * time.Second, Count: 4, UserTimeout: 1234 * time.Millisecond}
	other = tcpka.Settings{Enabled: true, Idle: 44 * time.Second, Interval: 8 * time.Second, Count: 5, UserTimeout: 4321 * time.Millisecond}
	// What package net gives every connection (net/tcpsockopt_posix.go).
	ofNet = tcpka.Settings{Enabled: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 9}
)

// listen leaves the listener's and its connections' options as the system has
// them.
func listen(t *testing.T, lc *net.ListenConfig, addr string) *net.TCPListener {
	t.Helper()
	l, err := lc.Listen(context.Background(), "tcp", addr)
	need.Permission(t, "listen on "+addr, err)
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

func untouched() *net.ListenConfig {
	lc := &net.ListenConfig{KeepAlive: -1}
	lc.SetMultipathTCP(false)
	return lc
}

func dial(t *testing.T, d *net.Dialer, l net.Listener) *net.TCPConn {
	t.Helper()
	c, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func accept(t *testing.T, l net.Listener) *net.TCPConn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func set(t *testing.T, c syscall.Conn, s tcpka.Settings) {
	t.Helper()
	if _, err := tcpka.Set(c, s); err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, what string, c syscall.Conn, want tcpka.Settings) {
	t.Helper()
	got, err := tcpka.Get(c)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("%s has %+v, want %+v", what, got, want)
	}
}

func TestSetAndGet(t *testing.T) {
	for name, addr := range loopbacks {
		t.Run(name, func(t *testing.T) {
			l := listen(t, untouched(), addr)
			set(t, l, odd)
			check(t, "listener", l, odd)

			c := dial(t, &net.Dialer{KeepAlive: -1}, l)
			set(t, c, other)
			check(t, "dialled connection", c, other)
			check(t, "accepted connection", accept(t, l), odd)
		})
	}
}

func TestSetLimits(t *testing.T) {
	l := listen(t, untouched(), "127.0.0.1:0")
	for _, s := range []tcpka.Settings{
		{Enabled: true, Idle: tcpka.MinTime, Interval: tcpka.MinTime, Count: tcpka.MinCount, UserTimeout: time.Millisecond},
		{Enabled: true, Idle: tcpka.MaxTime, Interval: tcpka.MaxTime, Count: tcpka.MaxCount, UserTimeout: tcpka.MaxUserTimeout},
	} {
		set(t, l, s)
		check(t, "listener", l, s)
	}
}

// The limits are the kernel's own, or they would not need to be ours.
func TestKernelRefusesTheSame(t *testing.T) {
	rc, err := listen(t, untouched(), "127.0.0.1:0").SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		opt    int
		values []int
	}{
		{"TCP_KEEPIDLE", unix.TCP_KEEPIDLE, []int{0, 32768, -1}},
		{"TCP_KEEPINTVL", unix.TCP_KEEPINTVL, []int{0, 32768, -1}},
		{"TCP_KEEPCNT", unix.TCP_KEEPCNT, []int{0, 128, -1}},
		{"TCP_USER_TIMEOUT", unix.TCP_USER_TIMEOUT, []int{-1}},
	} {
		for _, v := range tt.values {
			_ = rc.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, tt.opt, v) })
			if !errors.Is(err, unix.EINVAL) {
				t.Errorf("%s=%d: %v, want EINVAL", tt.name, v, err)
			}
		}
	}
}

func TestZeroFieldsLeaveValues(t *testing.T) {
	l := listen(t, untouched(), "127.0.0.1:0")
	set(t, l, odd)
	want := odd
	for _, step := range []struct {
		set    tcpka.Settings
		change func()
	}{
		{tcpka.Settings{Enabled: true}, func() {}},
		{tcpka.Settings{Enabled: true, Idle: time.Second}, func() { want.Idle = time.Second }},
		{tcpka.Settings{Enabled: true, Interval: 2 * time.Second}, func() { want.Interval = 2 * time.Second }},
		{tcpka.Settings{Enabled: true, Count: 1}, func() { want.Count = 1 }},
		{tcpka.Settings{Enabled: true, UserTimeout: time.Second}, func() { want.UserTimeout = time.Second }},
		{tcpka.Settings{}, func() { want.Enabled = false }}, // Enabled is always set
	} {
		set(t, l, step.set)
		step.change()
		check(t, "after "+step.set.String(), l, want)
	}
}

func TestOutOfRangeLeavesTheSocket(t *testing.T) {
	l := listen(t, untouched(), "127.0.0.1:0")
	set(t, l, odd)
	for field, s := range map[string]tcpka.Settings{
		"keepidle":     {Idle: 32768 * time.Second, Interval: time.Second, Count: 1, UserTimeout: time.Second},
		"keepintvl":    {Idle: time.Second, Interval: -time.Second, Count: 1, UserTimeout: time.Second},
		"keepcnt":      {Idle: time.Second, Interval: time.Second, Count: 128, UserTimeout: time.Second},
		"user timeout": {Idle: time.Second, Interval: time.Second, Count: 1, UserTimeout: -time.Second},
	} {
		_, err := tcpka.Set(l, s)
		checkRange(t, err, field)
		check(t, "after a wrong "+field+" the listener", l, odd)
	}
}

// A connection takes its settings when the handshake ends, not when the
// program accepts it.
func TestAcceptedConnectionInheritsAtHandshake(t *testing.T) {
	l := listen(t, untouched(), "127.0.0.1:0")
	set(t, l, odd)
	dial(t, &net.Dialer{}, l)
	waitReadable(t, l) // the handshake has ended
	set(t, l, other)
	check(t, "queued connection", accept(t, l), odd)
	dial(t, &net.Dialer{}, l)
	check(t, "later connection", accept(t, l), other)
}

func waitReadable(t *testing.T, c syscall.Conn) {
	t.Helper()
	rc, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if cerr := rc.Control(func(fd uintptr) {
		for err = unix.EINTR; errors.Is(err, unix.EINTR); {
			_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		}
	}); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
}

func TestDialerAndListenConfig(t *testing.T) {
	for name, addr := range loopbacks {
		t.Run(name, func(t *testing.T) {
			l := listen(t, odd.ListenConfig(), addr)
			check(t, "listener", l, odd)
			c := dial(t, other.Dialer(), l)
			check(t, "dialled connection", c, other)
			s := accept(t, l)
			check(t, "accepted connection", s, odd)
		})
	}
}

// An MPTCP socket refuses TCP_USER_TIMEOUT, and then package net falls back to
// TCP by itself: here nothing makes it.
func TestListenConfigIsPlainTCP(t *testing.T) {
	l := listen(t, tcpka.Settings{Enabled: true, Idle: time.Second}.ListenConfig(), "127.0.0.1:0")
	if proto := protocol(t, l); proto != unix.IPPROTO_TCP {
		t.Errorf("protocol %d, want plain TCP", proto)
	}
}

func protocol(t *testing.T, c syscall.Conn) int {
	t.Helper()
	rc, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var proto int
	if cerr := rc.Control(func(fd uintptr) { proto, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	return proto
}

func TestDialerSaysWhatIsWrong(t *testing.T) {
	l := listen(t, untouched(), "127.0.0.1:0")
	_, err := tcpka.Settings{Count: 128}.Dialer().Dial("tcp", l.Addr().String())
	checkRange(t, err, "keepcnt")
	_, err = tcpka.Settings{Count: 128}.ListenConfig().Listen(context.Background(), "tcp", "127.0.0.1:0")
	checkRange(t, err, "keepcnt")
}

// Why Dialer and ListenConfig are needed: package net sets its own values after
// Control has run. Should Go change that, this test tells.
func TestPackageNetOverridesControl(t *testing.T) {
	control := func(_, _ string, rc syscall.RawConn) error {
		_, err := tcpka.SetRaw(rc, odd)
		return err
	}
	want := ofNet
	want.UserTimeout = odd.UserTimeout // net has no opinion on it

	lc := &net.ListenConfig{Control: control}
	lc.SetMultipathTCP(false)
	l := listen(t, lc, "127.0.0.1:0")
	check(t, "listener", l, odd)
	check(t, "connection dialled with Control", dial(t, &net.Dialer{Control: control}, l), want)
	check(t, "connection accepted with Control", accept(t, l), want)
}

func TestClosed(t *testing.T) {
	l := listen(t, untouched(), "127.0.0.1:0")
	c := dial(t, &net.Dialer{}, l)
	c.Close()
	if _, err := tcpka.Set(c, odd); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Set on a closed connection: %v, want net.ErrClosed", err)
	}
	if got, err := tcpka.Get(c); !errors.Is(err, net.ErrClosed) || got != (tcpka.Settings{}) {
		t.Errorf("Get on a closed connection: %+v, %v, want net.ErrClosed", got, err)
	}
	if _, err := tcpka.Set(new(net.TCPConn), odd); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Set on no connection: %v, want EINVAL", err)
	}
	if _, err := tcpka.Get(new(net.TCPConn)); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Get on no connection: %v, want EINVAL", err)
	}
}

// The errno comes through, with the name of the option.
func TestNotTCP(t *testing.T) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const setText = "setsockopt TCP_KEEPINTVL=7: protocol not available"
	if _, err := tcpka.Set(c, odd); !errors.Is(err, unix.ENOPROTOOPT) || err.Error() != setText {
		t.Errorf("Set on a UDP socket: %v, want %s", err, setText)
	}
	_, err = tcpka.Get(c)
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOPROTOOPT) {
		t.Errorf("Get on a UDP socket: %v", err)
	}
}
