package cli

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kax/internal/need"
)

// On its way through a bridge a packet passes several interfaces, and is one.
func TestWatchAcrossABridge(t *testing.T) {
	t.Parallel()
	ip := need.Tool(t, "ip")
	if !inside(t) {
		return
	}
	bridge(t, ip)
	syns := func(args ...string) int {
		r := watch(t, append(args, "--json", "--host", "192.0.2.2", "--for", "1500ms")...)
		askBridge()
		return parse(t, r.end(t)).summary.Packets
	}
	if n := syns(); n != 1 {
		t.Errorf("one SYN is %d packets on all interfaces", n)
	}
	for _, on := range []string{"a1", "br0"} {
		if n := syns("-i", on); n != 1 {
			t.Errorf("one SYN is %d packets on %s", n, on)
		}
	}
}

// bridge makes one in this network, with a pair of veths to this host and another to
// nobody, which has 192.0.2.2.
func bridge(t *testing.T, ip string) {
	t.Helper()
	for _, args := range []string{
		"link add br0 type bridge", "link set br0 up",
		"link add a0 type veth peer name a1", "link set a1 master br0", "link set a1 up",
		"link add b0 type veth peer name b1", "link set b1 master br0", "link set b1 up",
		"addr add 192.0.2.1/24 dev a0", "link set a0 up", "link set b0 up",
		// The way from one address of a network to another of the same would be lo.
		"neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev a0",
	} {
		if text, err := exec.Command(ip, strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, text)
		}
	}
}

// askBridge sends a SYN across the bridge.
func askBridge() {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, _ = (&net.Dialer{}).DialContext(ctx, "tcp4", "192.0.2.2:80") // nobody answers
}

// A tcpdump -i any has written the same packet several times, with the interface of
// each in its cooked header.
func TestReadOfAnyInterface(t *testing.T) {
	t.Parallel()
	ip, tcpdump := need.Tool(t, "ip"), need.Tool(t, "tcpdump")
	tcpdumpRoot(t)
	if !inside(t) {
		return
	}
	bridge(t, ip)
	file := filepath.Join(t.TempDir(), "any.pcap")
	dump := exec.Command(tcpdump, "-i", "any", "-y", "LINUX_SLL2", "--immediate-mode", "-U", "-w", file, "-Z", "root", "tcp")
	if err := dump.Start(); err != nil {
		t.Fatal(err)
	}
	capturing(t, 1)
	written := func() (sent, copies int) {
		text, _ := exec.Command(tcpdump, "-n", "-Z", "root", "-r", file).Output() // it may still grow
		return len(regexp.MustCompile(`a0 +Out `).FindAll(text, -1)), strings.Count(string(text), "Flags [S]")
	}
	guard := time.Now().Add(time.Minute)
	for sent, copies := 0, 0; copies == sent && time.Now().Before(guard); sent, copies = written() {
		askBridge()
	}
	if err := dump.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := dump.Wait(); err != nil {
		t.Fatal(err)
	}
	sent, copies := written()
	if copies == sent {
		t.Fatalf("%d SYNs were written %d times", sent, copies)
	}
	if r := parse(t, run(t, kax(asIs, "read", file, "--json"))); r.summary.Packets != sent {
		t.Errorf("%d SYNs are %d packets", sent, r.summary.Packets)
	}
}
