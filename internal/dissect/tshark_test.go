package dissect_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kax/internal/dissect"
	"kax/internal/need"
	"kax/internal/timeline"
	"kax/internal/wire"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Every line of the layers up to TCP is tshark's, for every packet of the public
// captures. What tshark says besides is named in unsaid.
func TestAgreesWithTshark(t *testing.T) {
	for _, name := range need.Captures() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compare(t, need.Capture(t, name))
		})
	}
}

// compare holds the dissection of a file against tshark's. -2 shows each packet
// with what the whole file tells, as Wireshark's window does; -n without the names
// of the makers of network cards.
func compare(t *testing.T, path string) {
	t.Helper()
	cmd := exec.Command(need.Tool(t, "tshark"), "-2", "-n", "-V", "-r", path)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split("\n"+string(out), "\nFrame ")[1:]
	got := dissectFile(t, path)
	if len(got) != len(want) {
		t.Fatalf("%d packets, tshark has %d", len(got), len(want))
	}
	differ := 0
	for i := range got {
		theirs, ours := comparable(strings.Split("Frame "+want[i], "\n")), comparable(written(got[i]))
		for n := range max(len(theirs), len(ours)) {
			var a, b string
			if n < len(theirs) {
				a = theirs[n]
			}
			if n < len(ours) {
				b = ours[n]
			}
			if a != b {
				t.Errorf("packet %d, line %d:\ntshark %q\nkax    %q", i+1, n+1, a, b)
				differ++
				break
			}
		}
		for _, line := range strangeHTTP(strings.Split(want[i], "\n"), written(got[i])) {
			t.Errorf("packet %d: tshark has no %q", i+1, line)
			differ++
		}
		if differ >= 5 {
			t.Fatal("and more")
		}
	}
}

// dissectFile dissects each packet of a file, all of which has been read.
func dissectFile(t *testing.T, path string) []timeline.Packet {
	t.Helper()
	var pass dissect.Pass
	var frames [][]byte
	var contexts []dissect.Context
	for _, f := range readFile(t, path) {
		contexts = append(contexts, pass.Next(f))
		frames = append(frames, f.Data)
	}
	var packets []timeline.Packet
	for i, frame := range frames {
		packets = append(packets, dissect.Packet(frame, contexts[i]))
	}
	return packets
}

// written are a packet's lines, indented as Wireshark does.
func written(p timeline.Packet) []string {
	var lines []string
	var write func(f timeline.Field, indent string)
	write = func(f timeline.Field, indent string) {
		lines = append(lines, indent+f.Text)
		for _, sub := range f.Fields {
			write(sub, indent+"    ")
		}
	}
	for _, l := range p.Layers {
		write(l.Field, "")
	}
	return lines
}

// compared are the layers that are held against tshark's.
var compared = regexp.MustCompile(`^(Frame \d|Ethernet II|IEEE 802|802\.1Q|Null/Loopback|Raw packet|Linux cooked|Internet Protocol|Transmission Control)`)

// strangeHTTP are lines that kax shows of an HTTP message and tshark, showing one
// in the same packet, does not.
func strangeHTTP(theirs, ours []string) (strange []string) {
	const title = "Hypertext Transfer Protocol"
	from, own := slices.Index(theirs, title), slices.Index(ours, title)
	if from < 0 || own < 0 {
		return nil
	}
	for _, line := range ours[own+1:] {
		if len(line) > 200 { // tshark cuts such lines
			continue
		}
		if !slices.ContainsFunc(theirs[from:], func(s string) bool { return strings.TrimSpace(s) == strings.TrimSpace(line) }) {
			strange = append(strange, line)
		}
	}
	return strange
}

// unsaid is what tshark says and kax does not, with the lines below it.
var unsaid = regexp.MustCompile(`^ *(` + strings.Join([]string{
	`\[Expert Info`,                                                                 // kax says in sentences what it makes of a packet
	`\[SEQ/ACK analysis\]`,                                                          // that is kax's own to tell: Wireshark errs there (keepalive probes)
	`(Retransmitted )?TCP segment data`, `\[Reassembled PDU in frame`, `\[PDU Size`, // kax reassembles no application's data here
	`TCP payload`,                    // absent in tshark where a PDU ends in it: its length is in the title, too
	`\[Reassembled IPv`, `\[\d+ IPv`, // frames that have not been read, and lists of those that have
	`\[Subflow `, `\[MPTCP analysis\]`, // needs SHA-1 of Multipath TCP's keys
}, "|") + ")")

// upToTCP cuts the list of a frame's protocols where other names begin: what
// TCP carries, and what is not TCP, is Wireshark's to name.
func upToTCP(line string) string {
	const label = "    [Protocols in frame: "
	list, ok := strings.CutPrefix(strings.Replace(line, " [truncated]", "", 1), label)
	if !ok {
		return line
	}
	names := strings.Split(strings.TrimSuffix(list, "]"), ":")
	for i, name := range names {
		if !slices.Contains([]string{"eth", "ethertype", "vlan", "ieee8021ad", "null", "raw", "sll", "ip", "tcp"}, name) && !strings.HasPrefix(name, "ipv6") {
			names = names[:i]
			break
		}
	}
	return label + strings.Join(names, ":") + "]"
}

func comparable(lines []string) []string {
	var out []string
	is, skip := false, -1
	for _, line := range lines {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if indent == 0 {
			is = compared.MatchString(line)
		}
		if !is || line == "" || skip >= 0 && indent > skip {
			continue
		}
		if skip = -1; unsaid.MatchString(line) {
			skip = indent
			continue
		}
		out = append(out, strings.TrimRight(upToTCP(line), " "))
	}
	return out
}

// readFile returns the packets of a capture file.
func readFile(t *testing.T, path string) []dissect.Frame {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var r interface {
		gopacket.PacketDataSource
		LinkType() layers.LinkType
	}
	var ng *pcapgo.NgReader
	if filepath.Ext(path) == ".pcapng" {
		ng, err = pcapgo.NewNgReader(bufio.NewReader(file), pcapgo.DefaultNgReaderOptions)
		r = ng
	} else {
		r, err = pcapgo.NewReader(bufio.NewReader(file))
	}
	if err != nil {
		t.Fatal(err)
	}
	var frames []dissect.Frame
	for {
		data, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return frames
		}
		if err != nil {
			t.Fatal(err)
		}
		f := dissect.Frame{Link: wire.Link(r.LinkType()), Data: data, Length: info.Length, Time: info.Timestamp.UTC()}
		if ng != nil {
			i, err := ng.Interface(info.InterfaceIndex)
			if err != nil {
				t.Fatal(err)
			}
			f.Interface = &dissect.Interface{Section: 1, ID: info.InterfaceIndex, Name: i.Name, About: i.Description}
		}
		frames = append(frames, f)
	}
}
