package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kax/internal/sockets"
	"kax/internal/timeline"
	"kax/internal/view"
	"kax/tcpka"
)

// targetFlags name sockets of a running program.
type targetFlags struct {
	pid   int
	fd    int
	local string
	peer  string
	all   bool
}

// register adds the flags; many is for a command that takes several sockets.
func (f *targetFlags) register(cmd *cobra.Command, many bool) {
	fs := cmd.Flags()
	fs.Var(number(&f.pid, 1), "pid", "the `process`")
	fs.Var(number(&f.fd, 0), "fd", "the `descriptor` of the socket in it")
	fs.StringVar(&f.peer, "peer", "", "instead of --fd: the socket with this `address` at the other end; HOST:PORT or :PORT")
	fs.StringVar(&f.local, "local", "", "instead of --fd: the socket with this `address` of its own; HOST:PORT or :PORT")
	completeFlag(cmd, "pid", completePID)
	completeFlag(cmd, "peer", completePeer)
	if many {
		fs.BoolVar(&f.all, "all", false, "every TCP socket of the process, or every one that --peer and --local match")
	}
}

// check refuses what names no socket.
func (f *targetFlags) check(cmd *cobra.Command) error {
	given := cmd.Flags().Changed
	switch {
	case !given("pid"):
		return withHint(usage(errors.New("--pid is needed: whose socket it is")), `"kax tcp sockets" shows the processes and descriptors`)
	case given("fd") && (given("peer") || given("local")):
		return usage(errors.New("--fd, and --peer or --local: --fd names the socket already"))
	case given("fd") && f.all:
		return contradiction("fd", "all")
	case !given("fd") && !given("peer") && !given("local") && !f.all:
		return usage(errors.New("one of --fd, --peer and --local is needed: which socket of the process it is"))
	}
	return nil
}

// A target is what targetFlags have found.
type target struct {
	process *sockets.Process
	name    string // of the process
	sockets []*sockets.Borrowed
}

func (t *target) close() {
	sockets.CloseAll(t.sockets)
	_ = t.process.Close()
}

// open borrows the sockets that the flags name.
func (f *targetFlags) open(a *app, cmd *cobra.Command) (t *target, err error) {
	if err := f.check(cmd); err != nil {
		return nil, err
	}
	matches, err := f.matcher(cmd.Context())
	if err != nil {
		return nil, err
	}
	p, err := sockets.OpenProcess(f.pid)
	if err != nil {
		return nil, err
	}
	t = &target{process: p, name: p.Name()}
	defer func() {
		if err != nil {
			t.close()
			t = nil
		}
	}()
	if cmd.Flags().Changed("fd") {
		b, err := p.Borrow(f.fd)
		if err != nil {
			return t, t.refused(err)
		}
		t.sockets = append(t.sockets, b)
		return t, nil
	}
	found, all, multipath, err := p.Sockets(matches)
	t.sockets = found
	if err != nil {
		return t, t.refused(err)
	}
	if multipath > 0 {
		fmt.Fprintf(a.stderr, "kax: %s of %s left out: kax reaches plain TCP only\n", timeline.Count(multipath, "MPTCP socket"), t)
	}
	switch n := len(t.sockets); {
	case n == 0 && all == 0:
		return t, fmt.Errorf("%s has no TCP socket", t)
	case n == 0:
		return t, fmt.Errorf("none of the %s of %s matches", timeline.Count(all, "TCP socket"), t)
	case n > 1 && !f.all:
		return t, several(t.sockets, cmd.Flags().Lookup("all") != nil)
	}
	return t, nil
}

// String names the process.
func (t *target) String() string {
	if t.name == "" {
		return fmt.Sprintf("process %d", t.process.PID)
	}
	return fmt.Sprintf("process %d (%s)", t.process.PID, view.Clean(t.name))
}

// owner is a descriptor of the process, as records have it.
func (t *target) owner(b *sockets.Borrowed) timeline.Owner {
	return timeline.Owner{PID: t.process.PID, Process: t.name, FD: b.Number}
}

// refused says what it takes to borrow a socket (ptrace(2), "Ptrace access mode
// checking").
func (t *target) refused(err error) error {
	if !errors.Is(err, os.ErrPermission) {
		return err
	}
	uid, uidErr := t.process.UID()
	if uidErr != nil {
		return err
	}
	owner := fmt.Sprintf("user %d", uid)
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		owner = u.Username
	}
	err = fmt.Errorf("%w: %s is run by %s", err, cmp.Or(view.Clean(t.name), "it"), owner)
	switch scope, _ := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); {
	case uid != os.Geteuid() && uid == 0:
		return withHint(err, "its sockets are for %s only", owner)
	case uid != os.Geteuid():
		return withHint(err, "its sockets are for %s and root only", owner)
	case len(scope) > 0 && scope[0] != '0':
		return withHint(err, "kernel.yama.ptrace_scope is %c, which leaves this to root (CAP_SYS_PTRACE)", scope[0])
	}
	return withHint(err, "it is protected from its own user, or in another user namespace: this takes CAP_SYS_PTRACE there")
}

// several lists sockets of which one is wanted.
func several(found []*sockets.Borrowed, many bool) error {
	const most = 8
	var list []string
	for _, b := range found[:min(len(found), most)] {
		list = append(list, fmt.Sprintf("--fd %d (%s)", b.Number, addresses(b)))
	}
	if more := len(found) - most; more > 0 {
		list = append(list, fmt.Sprintf("%d more", more))
	}
	err := usage(fmt.Errorf("%d sockets match: %s", len(found), strings.Join(list, ", ")))
	if many {
		return withHint(err, "give one by --fd, or take them all by --all")
	}
	return withHint(err, "give one by --fd")
}

func addresses(b *sockets.Borrowed) string {
	local, _ := b.Local()
	peer, err := b.Peer()
	if err != nil {
		return local.String()
	}
	return fmt.Sprintf("%s → %s", local, peer)
}

// matcher says whether a socket has the addresses that are asked for.
func (f *targetFlags) matcher(ctx context.Context) (func(*sockets.Borrowed) bool, error) {
	local, err := endpoints(ctx, "local", f.local)
	if err != nil {
		return nil, err
	}
	peer, err := endpoints(ctx, "peer", f.peer)
	if err != nil {
		return nil, err
	}
	return func(b *sockets.Borrowed) bool {
		return among(local, b.Local) && among(peer, b.Peer)
	}, nil
}

// among reports whether an address is one of those wanted; none wanted is any.
func among(wanted []netip.AddrPort, get func() (netip.AddrPort, error)) bool {
	if wanted == nil {
		return true
	}
	ap, err := get()
	return err == nil && slices.ContainsFunc(wanted, func(w netip.AddrPort) bool {
		return ap.Port() == w.Port() && (!w.Addr().IsValid() || ap.Addr() == w.Addr())
	})
}

// endpoints takes HOST:PORT, :PORT or a bare PORT. A name may have several
// addresses; without a host the address is invalid, and stands for any.
func endpoints(ctx context.Context, flag, s string) ([]netip.AddrPort, error) {
	if s == "" {
		return nil, nil
	}
	if _, err := strconv.ParseUint(s, 10, 16); err == nil {
		s = ":" + s
	}
	host, service, err := net.SplitHostPort(s)
	if err != nil {
		return nil, usage(fmt.Errorf("--%s %q: must be HOST:PORT, or :PORT for any host", flag, s))
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", cmp.Or(service, "no port"))
	if err != nil {
		return nil, usage(fmt.Errorf("--%s %q: the port must be a number from 0 to 65535, or a service's name", flag, s))
	}
	if host == "" || host == "*" {
		return []netip.AddrPort{netip.AddrPortFrom(netip.Addr{}, uint16(port))}, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	var found []netip.AddrPort
	for _, addr := range addrs {
		found = append(found, netip.AddrPortFrom(addr.Unmap().WithZone(""), uint16(port)))
	}
	return found, nil
}

// table is what the kernel's list tells of the process's sockets, by
// descriptor: their timers, which a socket itself does not tell. It is empty
// where the process's network cannot be entered.
func (t *target) table() map[int]*sockets.Socket {
	found := map[int]*sockets.Socket{}
	list, err := sockets.List(sockets.Query{PID: t.process.PID})
	if err != nil {
		return found
	}
	for _, s := range list.Sockets {
		for _, o := range append(s.Also, s.Owner) {
			if o.PID == t.process.PID {
				found[o.FD] = s
			}
		}
	}
	return found
}

// seen is a socket at one moment.
type seen struct {
	status      sockets.Status
	settings    tcpka.Settings
	local, peer netip.AddrPort
}

func look(b *sockets.Borrowed) (s seen, err error) {
	if s.status, err = b.Status(); err != nil {
		return s, err
	}
	if s.settings, err = tcpka.GetFD(b.FD()); err != nil {
		return s, err
	}
	s.local, err = b.Local()
	s.peer, _ = b.Peer() // a listener has none
	return s, err
}
