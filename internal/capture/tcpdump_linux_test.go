package capture_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"kax/internal/need"

	"github.com/gopacket/gopacket/pcapgo"
)

// tcpdump, started before on the same lo, sees the same packets at the same
// moments. Since Linux 5.18 each packet socket stamps a TCP packet on lo for
// itself (0.5 to 2.5 µs apart on 6.18, never equal). Both do so before the next
// packet is delivered: no stamp of one may lie beyond the next packet's stamp
// of the other, however long the machine pauses.
func TestLiveAgreesWithTcpdump(t *testing.T) {
	t.Parallel()
	tcpdump := need.Tool(t, "tcpdump")
	inNamespace(t, func() error {
		l, port, err := listen("127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close()
		ctx, cancel := context.WithTimeout(context.Background(), guard)
		defer cancel()
		// -Z root: it would drop to a user who may not open lo. -B: in immediate
		// mode its ring has room for few packets.
		cmd := exec.CommandContext(ctx, tcpdump, "-n", "-i", "lo", "-w", "-", "-U", "-B", "16384", "-Z", "root",
			"--immediate-mode", "--time-stamp-precision=nano", fmt.Sprintf("tcp port %d", port))
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		stderr, err := cmd.StderrPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		defer func() { cancel(); _ = cmd.Wait() }()
		if err := listening(stderr); err != nil {
			return err
		}

		live, err := start("lo", port)
		if err != nil {
			return err
		}
		defer live.Close()
		if err := talk(l, []int{1, 1000, 10000, 1, 1}, nothing); err != nil {
			return err
		}
		var got tally
		if err := got.finish(live); err != nil {
			return err
		}

		r, err := pcapgo.NewReader(stdout)
		if err != nil {
			return fmt.Errorf("read from tcpdump: %w", err)
		}
		var before time.Time // tcpdump's last stamp
		for i, p := range got.packets {
			data, info, err := r.ReadPacketData()
			if err != nil {
				return fmt.Errorf("tcpdump's packet %d of %d: %w", i, len(got.packets), err)
			}
			if string(data) != string(p.Data) || info.Length != p.Length {
				return fmt.Errorf("packet %d: tcpdump has\n%x, here is\n%x", i, data, p.Data)
			}
			if i > 0 && (info.Timestamp.Before(got.packets[i-1].Time) || p.Time.Before(before)) {
				return fmt.Errorf("packet %d at %d, and %d by tcpdump: one is before the last packet, at %d and %d",
					i, p.Time.UnixNano(), info.Timestamp.UnixNano(), got.packets[i-1].Time.UnixNano(), before.UnixNano())
			}
			before = info.Timestamp
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return err
		}
		if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
			return fmt.Errorf("after %d packets tcpdump has another, %v", len(got.packets), err)
		}
		return nil
	})
}

// listening waits for tcpdump to say that it captures.
func listening(stderr io.Reader) error {
	var said []string
	for s := bufio.NewScanner(stderr); s.Scan(); {
		said = append(said, s.Text())
		if strings.Contains(s.Text(), "listening on") {
			return nil
		}
	}
	return fmt.Errorf("tcpdump says %q", said)
}
