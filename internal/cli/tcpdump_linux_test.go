package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"

	"kax/internal/need"
)

// dump is a tcpdump that writes a file.
type dump struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner // what it says
	file  string
}

// startDump starts a command that kax has printed, and waits until it captures.
func startDump(t *testing.T, line, file string) dump {
	t.Helper()
	// In immediate mode tcpdump's ring has room for few packets; -B makes it
	// larger. There is no other user than root that it could become (-Z).
	cmd := exec.Command("sh", "-c", "exec "+strings.TrimSpace(line)+
		" -B 16384 --immediate-mode -U --time-stamp-precision=nano -Z root -w "+file)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), "listening on") {
	}
	return dump{cmd, lines, file}
}

// end ends it once its file has so many packets: what it has not read by then is
// lost.
func (d dump) end(t *testing.T, packets int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); len(d.frames()) < packets && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for d.lines.Scan() {
		t.Log(d.lines.Text()) // its counts
	}
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("tcpdump: %v", err)
	}
}

// frame is a packet of a file.
type frame struct {
	data string
	at   time.Time
}

// frames are those of the file, which may still be growing.
func (d dump) frames() []frame {
	f, err := os.Open(d.file)
	if err != nil {
		return nil
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		return nil
	}
	all, _ := readFrames(r)
	return all
}

func readFrames(r gopacket.PacketDataSource) (all []frame, err error) {
	for {
		data, info, err := r.ReadPacketData()
		if err != nil {
			return all, err
		}
		all = append(all, frame{string(data), info.Timestamp})
	}
}

// The command that --tcpdump prints captures what kax beside it captures, packet
// for packet: the same bytes, and so the same sequence numbers. Each of the two
// stamps a packet for itself, one after the other in the same softirq
// (tpacket_rcv), within 2 µs or so where nothing comes between.
func TestBesideTcpdump(t *testing.T) {
	t.Parallel()
	need.Tool(t, "tcpdump")
	type beside struct {
		flags     []string
		env       string
		meanwhile func(*running)
		conns     int
	}
	watched := func(t *testing.T, kax *running, addrs ...string) {
		capturing(t, 2)
		for _, addr := range addrs {
			ask(t, addr, 20)
		}
		if err := kax.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
	}
	for name, prepare := range map[string]func(*testing.T) beside{
		"demo":      func(*testing.T) beside { return beside{flags: quick(), conns: 3} },
		"demo IPv6": func(*testing.T) beside { return beside{flags: quick("--ipv6"), conns: 3} },
		"dial": func(t *testing.T) beside {
			p := newPeer(t, "127.0.0.1:0")
			return beside{
				flags:     []string{"tcp", "dial", p.addr, "--keepidle", "1", "--json", "--for", "1.5s"},
				meanwhile: func(*running) { p.accept(t) },
				conns:     1,
			}
		},
		"request": func(t *testing.T) beside {
			a, b := startServer(t).url, startServer(t).url
			return beside{conns: 2, flags: []string{"http", "request", a + "/keep", b + "/close", a + "/keep", "--keepidle", "1", "--pause", "600ms", "--json"}}
		},
		"watch": func(t *testing.T) beside {
			flags, addrs := []string{"watch", "-i", "lo", "--json", "--host", "127.0.0.2", "--host", "::1"}, []string{}
			for i, host := range []string{"127.0.0.2", "::1", "127.0.0.3", "127.0.0.2"} {
				p := newPeer(t, net.JoinHostPort(host, "0"))
				serve(t, p)
				addrs = append(addrs, p.addr)
				if i < 3 { // so the last has another port, and the one before another host
					flags = append(flags, "--port", fmt.Sprint(p.port))
				}
			}
			return beside{flags: flags, conns: 2, meanwhile: func(kax *running) { watched(t, kax, addrs...) }}
		},
		"watch without SSH": func(t *testing.T) beside {
			p := newPeer(t, "127.0.0.1:0")
			own := connect(t, p.addr)
			ends := [2]net.Conn{own, p.accept(t)}
			serve(t, p)
			return beside{
				flags: []string{"watch", "-i", "lo", "--json"},
				conns: 1,
				env:   "SSH_CONNECTION=" + strings.ReplaceAll(own.LocalAddr().String()+" "+p.addr, ":", " "),
				meanwhile: func(kax *running) {
					capturing(t, 2)
					for _, end := range ends {
						if _, err := end.Write([]byte("on the terminal")); err != nil {
							t.Fatal(err)
						}
					}
					watched(t, kax, p.addr)
				},
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tcpdumpRoot(t)
			if !inside(t) {
				return
			}
			b := prepare(t)
			command := func(more ...string) *exec.Cmd {
				cmd := kax(asIs, slices.Concat(b.flags, more)...)
				cmd.Env = append(cmd.Env, b.env)
				return cmd
			}
			line := run(t, command("--tcpdump"))
			if line.code != 0 {
				t.Fatal(line)
			}
			dir := t.TempDir()
			theirs, file := startDump(t, line.stdout, filepath.Join(dir, "tcpdump.pcap")), filepath.Join(dir, "kax.pcapng")
			kax := start(t, command("-w", file))
			if b.meanwhile != nil {
				b.meanwhile(kax)
			}
			res := kax.end(t)
			r := parse(t, res)
			if res.code != 0 || r.summary.Dropped != 0 || r.summary.Connections != b.conns {
				t.Error(res)
			}
			theirs.end(t, r.summary.Packets)
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			ng, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
			if err != nil {
				t.Fatal(err)
			}
			ours, err := readFrames(ng)
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			sameFrames(t, ours, theirs.frames())
			if len(ours) != r.summary.Packets {
				t.Errorf("%d packets in the file, %d in the summary", len(ours), r.summary.Packets)
			}
			if n := probesIn(t, file); n != r.summary.Events["probe"] {
				t.Errorf("tshark finds %d probes, kax has %d", n, r.summary.Events["probe"])
			}
		})
	}
}

// probesIn is how many keepalive probes tshark finds in a file.
func probesIn(t *testing.T, file string) int {
	t.Helper()
	out, err := exec.Command(need.Tool(t, "tshark"), "-r", file, "-Y", "tcp.analysis.keep_alive", "-T", "fields", "-e", "frame.number").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	return len(strings.Fields(string(out)))
}

// sameFrames demands that both have the same packets, in whatever order: two
// processors may hand packets to two sockets in two orders.
func sameFrames(t *testing.T, ours, theirs []frame) {
	t.Helper()
	for _, all := range [][]frame{ours, theirs} {
		slices.SortStableFunc(all, func(a, b frame) int { return strings.Compare(a.data, b.data) })
	}
	if len(ours) != len(theirs) {
		t.Fatalf("kax has %d packets, tcpdump %d", len(ours), len(theirs))
	}
	var apart []time.Duration
	for i := range ours {
		if ours[i].data != theirs[i].data {
			t.Fatalf("a packet of one is not the other's:\n%x\n%x", ours[i].data, theirs[i].data)
		}
		apart = append(apart, ours[i].at.Sub(theirs[i].at).Abs())
	}
	slices.Sort(apart)
	// A machine that is held up between two stamps is so for a few packets only.
	if middle := apart[len(apart)/2]; middle > stampsApart {
		t.Errorf("half the stamps are more than %v apart", middle)
	}
	t.Logf("%d packets; stamps are %v apart, at most %v", len(ours), apart[len(apart)/2], apart[len(apart)-1])
}

// stampsApart is far more than two packet sockets' stamps of a packet usually are.
const stampsApart = 20 * time.Microsecond
