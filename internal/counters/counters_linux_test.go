package counters_test

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"kax/internal/counters"
	"kax/tcpka"
)

// Who probes is told to probe, who answers to answer, and nobody else.
func TestAnsweredProbes(t *testing.T) {
	for _, test := range []struct {
		name           string
		client, server tcpka.Settings
	}{{"client", probe, off}, {"server", off, probe}, {"both", probe, probe}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := mustConnect(t, test.client, test.server)
			p.exchange()
			const n = 2
			enough := func() bool {
				return (!test.client.Enabled || p.count(p.server, tcpka.ProbeAnswer) >= n) &&
					(!test.server.Enabled || p.count(p.client, tcpka.ProbeAnswer) >= n)
			}
			if !p.until(enough) {
				t.Errorf("not enough probes and answers: %v", p.seen)
			}
			for _, side := range []struct {
				name     string
				probes   bool
				sent     int
				answered int
			}{
				{"client", test.client.Enabled, p.count(p.client, tcpka.Probe), p.count(p.server, tcpka.ProbeAnswer)},
				{"server", test.server.Enabled, p.count(p.server, tcpka.Probe), p.count(p.client, tcpka.ProbeAnswer)},
			} {
				if side.sent != side.answered || (side.sent > 0) != side.probes {
					t.Errorf("the %s sent %d probes, %d answered", side.name, side.sent, side.answered)
				}
			}
			// A probe stands before its answer, a second or more after what came
			// before. Both have the kernel's time of the answer, unless a reading came
			// between the two.
			probes := map[netip.AddrPort]counters.Observation{}
			for _, o := range p.seen {
				switch o.Kind {
				case tcpka.ProbeAnswer:
					if q, ok := probes[o.To]; !ok || q.Time.After(o.Time) || q.Blur == 0 && !q.Time.Equal(o.Time) {
						t.Errorf("answer %+v after %+v", o, q)
					}
				case tcpka.Probe:
					// Jiffies and milliseconds are cut off on the way.
					if last, ok := probes[o.From]; ok && o.Time.Sub(last.Time) < time.Second-20*time.Millisecond {
						t.Errorf("a probe %v after the last", o.Time.Sub(last.Time))
					}
					probes[o.From] = o
				}
			}
		})
	}
}

// What the program does itself is told as it does it.
func TestTold(t *testing.T) {
	t.Parallel()
	p := mustConnect(t, off, off)
	p.exchange()
	if n, err := io.Copy(p.client, strings.NewReader("copied")); n != 6 || err != nil {
		t.Fatal(n, err)
	}
	if err := p.client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	p.poll()
	if b, err := io.ReadAll(p.server); string(b) != "copied" || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	p.client.Close()
	p.server.Close()
	p.client.Close() // again, as deferred calls do
	p.poll()
	var got []string
	for _, o := range p.seen {
		side := "server"
		if o.From.String() == p.client.LocalAddr().String() {
			side = "client"
		}
		got = append(got, strings.TrimSpace(side+" "+o.Kind.String()+" "+o.Detail))
	}
	want := []string{
		"client established", "client data 5 bytes", "server data 5 bytes", "client data 6 bytes",
		"client fin", "server fin",
	}
	if !slices.Equal(got, want) {
		t.Errorf("told %q\nwant %q", got, want)
	}
	if p.poll(); len(p.seen) != len(want) {
		t.Errorf("told of closed connections: %v", p.seen[len(want):])
	}
}

// A connection that ends in a reset has no FIN, and its peer nothing to send.
func TestReset(t *testing.T) {
	t.Parallel()
	p := mustConnect(t, off, off)
	p.exchange()
	if err := p.server.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	p.server.Close()
	if _, err := p.client.Read(make([]byte, 1)); err == nil {
		t.Error("the client reads on after a reset")
	}
	p.client.Close()
	p.poll()
	if p.count(p.server, tcpka.RST) != 1 || p.total(tcpka.FIN) != 0 || p.total(tcpka.RST) != 1 {
		t.Errorf("told %v", p.seen)
	}
}

// Data, acknowledgments, window updates and FINs are no probes, though each of
// them moves the same counters.
func TestNoProbes(t *testing.T) {
	t.Parallel()
	p := mustConnect(t, probe, probe)
	for range 50 {
		p.exchange()
		p.poll()
	}
	// Half a window read at once makes the receiver tell of the room.
	chunk := make([]byte, 64<<10)
	for range 20 {
		if _, err := p.client.Write(chunk); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(p.server, chunk); err != nil {
			t.Fatal(err)
		}
		p.poll()
	}
	p.client.Close()
	if _, err := p.server.Read(chunk); err != io.EOF {
		t.Errorf("%v, want EOF", err)
	}
	p.poll()
	p.server.Close()
	p.poll()
	if n := p.total(tcpka.Probe) + p.total(tcpka.ProbeAnswer); n != 0 {
		t.Errorf("%d probes and answers: %v", n, p.seen)
	}
}

// A closed window is asked about by segments of the same form, which are not
// keepalive's (TCPWinProbe in netstat).
func TestWindowProbes(t *testing.T) {
	t.Parallel()
	p := mustConnect(t, probe, off)
	sent := make(chan int64, 1)
	go func() {
		n, _ := p.client.Write(make([]byte, 8<<20)) // more than both buffers hold
		sent <- int64(n)
	}()
	// The kernel's own word that it has asked, each time after twice as long:
	// the last time after more than any keepidle.
	asked := func() bool {
		info := tcpInfo(t, p.client)
		return info.Notsent_bytes > 0 && info.Unacked == 0 && info.Backoff >= 4
	}
	if !p.until(asked) {
		t.Fatalf("the kernel sent no window probes: %+v", tcpInfo(t, p.client))
	}
	if n := p.total(tcpka.Probe) + p.total(tcpka.ProbeAnswer); n != 0 {
		t.Errorf("%d probes and answers with the window closed: %v", n, p.seen)
	}
	read := make(chan int64, 1)
	go func() {
		n, _ := io.CopyN(io.Discard, p.server, 8<<20)
		read <- n
	}()
	if !p.until(func() bool { return len(read) == 1 }) {
		t.Fatal("the window did not open again")
	}
	if s, r := <-sent, <-read; s != 8<<20 || r != s {
		t.Errorf("sent %d, read %d", s, r)
	}
	if n := p.total(tcpka.Probe) + p.total(tcpka.ProbeAnswer); n != 0 {
		t.Errorf("%d probes and answers: %v", n, p.seen)
	}
}

func BenchmarkPoll(b *testing.B) {
	p := mustConnect(b, off, off)
	p.poll()
	b.ReportAllocs()
	for b.Loop() {
		if seen := p.w.Poll(); len(seen) != 0 {
			b.Fatal(seen)
		}
	}
}

// Of a peer that is not watched only the goodbye is told, once: as it is read,
// or as its unread end is closed (HTTP clients read no further than a response
// that says close).
func TestPeerGoodbye(t *testing.T) {
	t.Parallel()
	for _, want := range []tcpka.Kind{tcpka.FIN, tcpka.RST} {
		for _, how := range []struct{ both, read bool }{{false, true}, {false, false}, {true, true}, {true, false}} {
			p := mustConnect(t, off, off)
			client, server := p.client, p.server
			if !how.both {
				p.w = new(counters.Watcher)
				var err error
				if client, err = p.w.Watch(client.TCPConn, true); err != nil {
					t.Fatal(err)
				}
			}
			if want == tcpka.RST {
				if err := server.SetLinger(0); err != nil {
					t.Fatal(err)
				}
			}
			if err := server.Close(); err != nil {
				t.Fatal(err)
			}
			// On loopback a FIN or RST is there when Close returns.
			for range 2 {
				if !how.read {
					break
				}
				if _, err := client.Read(make([]byte, 1)); err == nil {
					t.Fatal("there is something to read")
				}
			}
			if err := client.Close(); err != nil {
				t.Fatal(err)
			}
			p.poll()
			var got []tcpka.Kind
			for _, o := range p.seen {
				if o.Kind == tcpka.FIN || o.Kind == tcpka.RST {
					got = append(got, o.Kind)
				}
			}
			wanted := []tcpka.Kind{want}
			if want == tcpka.FIN {
				wanted = append(wanted, want) // the client's own, afterwards
			}
			if p.count(server, want) != 1 || !slices.Equal(got, wanted) {
				t.Errorf("%v, %+v: told %+v", want, how, p.seen)
			}
		}
	}
}

// A connection that is watched long after it was opened, as on a busy machine, is
// told of with the time of its handshake.
func TestEstablishedBefore(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	open := time.Now()
	time.Sleep(100 * time.Millisecond)
	var w counters.Watcher
	if _, err := w.Watch(c.(*net.TCPConn), true); err != nil {
		t.Fatal(err)
	}
	seen := w.Poll()
	if len(seen) != 1 || seen[0].Kind != tcpka.Established || seen[0].Time.After(open.Add(20*time.Millisecond)) {
		t.Errorf("open at %v, told %+v", open, seen)
	}
}
