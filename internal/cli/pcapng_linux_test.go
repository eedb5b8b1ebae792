package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"kax/internal/need"
	"kax/internal/netns"
)

// packetsIn counts the packets of a pcapng file, which must be complete.
func packetsIn(t *testing.T, name string) int {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		if _, _, err := r.ReadPacketData(); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			t.Fatalf("%s, packet %d: %v", name, n+1, err)
		}
	}
}

// pcapPackets counts the packets of a pcap file that may still be growing.
func pcapPackets(name string) (n int) {
	f, err := os.Open(name)
	if err != nil {
		return 0
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	for err == nil {
		if _, _, err = r.ReadPacketData(); err == nil {
			n++
		}
	}
	return n
}

// tshark returns the time stamps of the packets in a file that match.
func tshark(t *testing.T, file, filter string) []time.Time {
	t.Helper()
	args := []string{"-r", file, "-T", "fields", "-e", "frame.time_epoch"}
	if filter != "" {
		args = append(args, "-Y", filter)
	}
	out, err := exec.Command(need.Tool(t, "tshark"), args...).Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	var stamps []time.Time
	for stamp := range strings.FieldsSeq(string(out)) {
		var sec, nsec int64
		if _, err := fmt.Sscanf(stamp, "%d.%d", &sec, &nsec); err != nil {
			t.Fatalf("tshark's time %q: %v", stamp, err)
		}
		stamps = append(stamps, time.Unix(sec, nsec))
	}
	return stamps
}

// tapsApart is more than the kernel takes to hand a packet from one packet
// socket to the next: each stamps it for itself (tpacket_rcv), about 1 µs
// apart on an idle machine.
const tapsApart = 5 * time.Millisecond

// What kax writes, and what a tcpdump beside it writes, are the same packets,
// and tshark finds the same probes in both. The command is the one that
// --tcpdump prints.
func TestDemoBesideTcpdump(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.Tool(t, "tcpdump")
	for _, ipv6 := range []string{"--ipv6=false", "--ipv6"} {
		t.Run(ipv6, func(t *testing.T) {
			t.Parallel()
			dir := sharedDir(t)
			ours, theirs := dir+"/kax.pcapng", dir+"/tcpdump.pcap"
			var r records
			// Processes start in the namespace of the thread that starts them.
			err := netns.Do(func() error {
				line := run(t, kax(asIs, "demo", "--tcpdump", ipv6))
				if line.code != 0 || line.stderr != "" {
					t.Errorf("--tcpdump: %s", line)
				}
				// In immediate mode tcpdump's ring has room for few packets;
				// -B makes it larger.
				dump := exec.Command("sh", "-c", "exec "+strings.TrimSpace(line.stdout)+
					" -B 16384 --immediate-mode -U --time-stamp-precision=nano -Z root -w "+theirs)
				stderr, err := dump.StderrPipe()
				if err != nil {
					return err
				}
				if err := dump.Start(); err != nil {
					return err
				}
				defer func() { _ = dump.Process.Kill() }()
				lines := bufio.NewScanner(stderr)
				for lines.Scan() && !strings.Contains(lines.Text(), "listening on") {
				}
				r = parse(t, run(t, kax(asIs, quick("-w", ours, ipv6)...)))
				// What tcpdump has not read when it is asked to end is lost.
				for wait := time.NewTimer(10 * time.Second); pcapPackets(theirs) < r.summary.Packets; {
					select {
					case <-time.After(20 * time.Millisecond):
						continue
					case <-wait.C:
					}
					break
				}
				if err := dump.Process.Signal(os.Interrupt); err != nil {
					return err
				}
				for lines.Scan() {
					t.Log(lines.Text()) // its counts
				}
				return dump.Wait()
			})
			if err != nil {
				t.Fatal(err)
			}
			a, b := tshark(t, ours, ""), tshark(t, theirs, "")
			if len(a) != r.summary.Packets || len(b) != r.summary.Packets {
				t.Fatalf("%d packets on the timeline, %d in kax's file, %d in tcpdump's\n%v\n%v", r.summary.Packets, len(a), len(b), a, b)
			}
			for i := range a {
				if apart := a[i].Sub(b[i]).Abs(); apart > tapsApart {
					t.Errorf("packet %d: kax and tcpdump are %v apart", i+1, apart)
				}
			}
			for _, file := range []string{ours, theirs} {
				if n := len(tshark(t, file, "tcp.analysis.keep_alive")); n != len(r.kind("probe")) || n == 0 {
					t.Errorf("%s: tshark finds %d probes, kax has %d", file, n, len(r.kind("probe")))
				}
			}
		})
	}
}
