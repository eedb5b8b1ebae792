package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"kax/internal/sockets"
	"kax/tcpka"
)

func TestSocketsCutBy(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	lends(t)
	for _, tt := range []struct {
		name           string
		client, server tcpka.Settings
		args           string
		code, cut      int
		why, fix       string // of the client
	}{
		{"kept", prompt, prompt, "--cut-by 350s --loopback", 0, 0, "", ""},
		{"loopback is left out", slow, noKeepalive, "--cut-by 350s", 0, 0, "", ""},
		{"too late", slow, prompt, "--cut-by 350s --loopback", exitProblem, 1, "first probe after up to 2h", "--keepidle 33"},
		{"off", noKeepalive, prompt, "--cut-by 350s --loopback", exitProblem, 1, "keepalive off", "--keepidle 33"},
		{"both", slow, noKeepalive, "--cut-by 5m50s --loopback", exitProblem, 2, "first probe after up to 2h", "--keepidle 33"},
		{"too far apart", rareInVain, prompt, "--cut-by 350s --loopback", exitProblem, 1, "probes up to 6m", "--keepidle 30 --keepintvl 33"},
		{"no time is short enough", prompt, prompt, "--cut-by 1s --loopback", exitProblem, 2, "no keepalive time is short enough", ""},
		{"later than the last", slow, slow, "--cut-by 3h --loopback --strict", 0, 0, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := openConn(t, tt.client, tt.server)
			args := append([]string{"tcp", "sockets", "--port", h.port()}, strings.Fields(tt.args)...)
			res := run(t, kax(asIs, args...))
			if left := strings.Contains(res.stdout, "\n2 loopback connections left out (--loopback)"); left == strings.Contains(tt.args, "--loopback") {
				t.Error(res)
			}
			if res.code != tt.code || !strings.Contains(res.stdout, tt.why) || !strings.Contains(res.stdout, "the peer's probes") {
				t.Error(res)
			}
			res = run(t, kax(asIs, append(args, "--json")...))
			list := listing(t, res, 1)
			if res.code != tt.code || len(list) != tt.cut {
				t.Fatalf("%d cut: %s", len(list), res)
			}
			for _, s := range list {
				if s.Cut == "" || s.State != "ESTAB" {
					t.Errorf("%+v", s)
				}
				if s.Local.String() != h.client.LocalAddr().String() {
					continue
				}
				command := fmt.Sprintf("kax tcp set --pid %d --fd %d ", os.Getpid(), numberOf(t, h.client))
				if !strings.Contains(s.Cut, tt.why) || (tt.fix != "") != strings.HasPrefix(s.Fix, command+tt.fix) {
					t.Errorf("%q, %q", s.Cut, s.Fix)
				}
			}
		})
	}
}

// What the kernel is sending on is not idle, whatever its settings.
func TestSocketsCutByBusy(t *testing.T) {
	t.Parallel()
	if !inside(t) {
		return
	}
	lends(t)
	h := openConn(t, noKeepalive, prompt)
	_ = h.client.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	for buf := make([]byte, 1<<20); ; { // until the peer's window is closed
		if _, err := h.client.Write(buf); err != nil {
			break
		}
	}
	args := []string{"tcp", "sockets", "--cut-by", "350", "--loopback", "--strict", "--port", h.port()}
	res := run(t, kax(asIs, args...))
	if res.code != 0 || !strings.Contains(res.stdout, "\n1 more is busy: the kernel is sending on it\n"+h.client.LocalAddr().String()) {
		t.Error(res)
	}
	res = run(t, kax(asIs, append(args, "--json")...))
	if list := listing(t, res, 1); res.code != 0 || len(list) != 1 || list[0].Busy == "" || list[0].Cut != "" || list[0].Fix != "" {
		t.Error(res)
	}
}

// What a fix says is enough.
func TestCutFix(t *testing.T) {
	t.Parallel()
	for limit := 2 * time.Second; limit < 9000*time.Second; limit += 977 * time.Millisecond {
		for _, s := range []tcpka.Settings{slow, prompt, rareInVain, {Idle: 7200 * time.Second, Interval: 75 * time.Second, Count: 9}} {
			why, fix := cut(&sockets.Socket{Settings: s}, limit, 250)
			if why == "" || fix == "" {
				if why == "" != (fix == "") {
					t.Fatalf("%v by %v: %q, %q", s, limit, why, fix)
				}
				continue
			}
			fixed, idle, interval := s, 0, int(s.Interval/time.Second)
			if n, err := fmt.Sscanf(fix, "--keepidle %d --keepintvl %d", &idle, &interval); n == 0 {
				t.Fatal(fix, err)
			}
			fixed.Enabled, fixed.Idle, fixed.Interval = true, time.Duration(idle)*time.Second, time.Duration(interval)*time.Second
			if why, _ := cut(&sockets.Socket{Settings: fixed}, limit, 250); why != "" {
				t.Fatalf("%v by %v: %q leaves %q", s, limit, fix, why)
			}
		}
	}
}
