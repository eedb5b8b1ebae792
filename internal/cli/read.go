package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"kax/internal/capture"
	"kax/internal/observe"
	"kax/internal/timeline"
	"kax/internal/view"
	"kax/internal/wire"
)

type readFlags struct {
	out    outputFlags
	ends   endsFlags
	conn   int
	count  int
	packet int
}

func (a *app) readCmd() *cobra.Command {
	var f readFlags
	cmd := &cobra.Command{
		Use:   "read FILE|-",
		Short: "the timeline of a capture: pcap, pcapng, or records of an earlier run",
		Long: `Shows the connections of a capture as kax demo shows its own: TCP with its
keepalive probes on the left, the HTTP/1 requests that the packets carry on the
right. FILE is pcap or pcapng, plain or gzip; - is standard input, also while
another program writes to it:

  sudo tcpdump -i lo -U -w - | kax read -

Records that --json has written (.jsonl) are shown again, in any view.

With several --host and --port a connection matches if one end has one of the
hosts, and one end one of the ports.

Packets have the numbers that Wireshark gives them. Where a file has several
interfaces, as both ends of a link or all that tcpdump -i any sees, each
direction of a connection is shown from the one where it was seen first. A file
that is damaged or cut is shown up to there.`,
		Example: `  kax read demo.pcapng
  kax read demo.pcapng --summary
  kax read demo.pcapng --conn 3 --only probe,probe-answer
  kax read demo.pcapng --host 127.0.0.1 --port 3000
  kax read demo.pcapng --list -c 20
  kax read demo.pcapng --packet 1
  kax read demo.pcapng --summary --report demo.html
  kax read demo.pcapng --json`,
		Args: exactly("FILE, or - for standard input"),
		RunE: a.run(func(cmd *cobra.Command, args []string) error { return a.read(cmd, f, args[0]) }),
	}
	f.out.register(cmd)
	f.ends.register(cmd)
	fs := cmd.Flags()
	fs.Var(number(&f.conn, 1), "conn", "only the connection with this number")
	fs.VarP(number(&f.count, 1), "count", "c", "stop after so many packets")
	fs.Var(number(&f.packet, 1), "packet", "take the packet with this number apart instead")
	return cmd
}

func (a *app) read(cmd *cobra.Command, f readFlags, name string) error {
	if err := f.out.check(); err != nil {
		return err
	}
	if f.packet > 0 && (f.conn > 0 || f.count > 0 || f.ends.given() || f.out.list || f.out.summary) {
		return usage(errors.New("--packet shows one packet, and takes none of --conn, --host, --port, -c, --list and --summary"))
	}
	var filter capture.Filter
	if err := f.ends.complete(cmd.Context(), &filter); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	if f.out.stop > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, f.out.stop)
		defer stop()
	}
	if f.packet > 0 && f.out.report != "" {
		return contradiction("packet", "report")
	}
	out := bufio.NewWriterSize(a.stdout, 1<<16)
	in, err := openInput(ctx, name, out.Flush)
	if err != nil {
		return err
	}
	defer in.Close()
	report, err := a.openReport(f.out, name)
	if err != nil {
		return err
	}
	s := &sink{views: []view.View{view.OnlyConn(report, f.conn), view.OnlyConn(f.out.viewTo(out, a.stdout), f.conn)}, stop: cancel}
	r := reading{in: in, sink: s, conn: f.conn, count: f.count, progress: a.readProgress(in, f.out)}
	if f.ends.given() {
		r.match = filter.Match
	}
	h := timeline.Header{Schema: timeline.Schema, Version: a.version, Command: commandName(cmd)}
	start, err := in.Peek(1)
	switch {
	case err == nil && start[0] == '{' && f.packet > 0:
		err = fmt.Errorf("--packet: %s has records, not the bytes of packets", in.name)
	case err == nil && start[0] == '{' && f.ends.given():
		err = withHint(fmt.Errorf("--host and --port choose among packets, and %s has records", in.name), "--conn shows one of its connections")
	case err == nil && start[0] == '{':
		err = r.replay(ctx)
	case f.packet > 0:
		err = r.dissect(ctx, h, f.packet)
	default:
		err = r.packets(ctx, h, f.out)
	}
	r.progress.end()
	if errors.Is(err, errInterrupted) && in.pipe {
		err = nil // it runs until ^C
	}
	return errors.Join(s.err, err, out.Flush(), report.close())
}

// reading is one run of kax read.
type reading struct {
	in          *input
	sink        *sink
	match       func(a, b netip.AddrPort) bool // nil is all
	conn, count int
	connections int // of the summary
	progress    *readProgress
}

// record shows r, and remembers how many connections there are.
func (r *reading) record(rec timeline.Record) {
	if rec.Summary != nil {
		r.connections = rec.Summary.Connections
	}
	r.sink.record(rec)
}

// checkConn refuses the number of a connection that was not there.
func (r *reading) checkConn() error {
	if r.conn > r.connections {
		return fmt.Errorf("--conn %d: %s has %s", r.conn, r.in.name, timeline.Count(r.connections, "connection"))
	}
	return nil
}

// packets reads a capture to its end, and shows what it has read when something
// stops it before.
func (r *reading) packets(ctx context.Context, h timeline.Header, out outputFlags) error {
	file, err := capture.NewFile(r.in, r.in.name)
	if err != nil {
		return err // names the file
	}
	h.Source, h.Settings.File = timeline.File, r.in.name
	if r.in.pipe {
		h.Source = timeline.Pipe
	}
	o := observe.Observer{
		Header: h, Observing: timeline.Observing{NoEvents: !out.withEvents()}, Frames: out.withFrames(), Match: r.match, Emit: r.record,
		Once: severalInterfaces(file),
	}
	err = r.feed(ctx, file, &o)
	o.Finish(0)
	return errors.Join(err, r.checkConn(), o.Unread())
}

// severalInterfaces reports whether packets of a file may be of more than one.
func severalInterfaces(f *capture.File) bool {
	return f.Format() == "pcapng" || slices.ContainsFunc(f.Interfaces(), func(i capture.Interface) bool { return i.Link == wire.SLL2 })
}

// feed returns nil at the end of the file, or of the packets that were asked for.
func (r *reading) feed(ctx context.Context, file *capture.File, o *observe.Observer) error {
	check := func() error {
		r.progress.tell(o.Packets())
		return context.Cause(ctx)
	}
	var err error
	if r.in.pipe {
		var p capture.Packet
		for {
			if err = file.Next(&p); err != nil {
				break
			}
			o.Packet(&p) // shown before the next one is waited for
			if o.Packets() == r.count {
				return nil
			}
			if o.Packets()%1024 == 0 {
				if err = check(); err != nil {
					break
				}
			}
		}
	} else {
		err = o.Read(file, r.count, check)
	}
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case ctx.Err() != nil:
		return stopped(ctx)
	}
	return err // names the file
}

// stopped is why a context has ended, nil where that was asked for.
func stopped(ctx context.Context) error {
	if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// input is a file or a pipe that is read.
type input struct {
	*bufio.Reader
	name string
	file *os.File
	pipe bool // something may still be written to it
	size int64
}

// openInput opens a file, or standard input for -. Before it waits for what is
// not there yet, it calls idle; it waits no longer than ctx.
func openInput(ctx context.Context, name string, idle func() error) (*input, error) {
	in := &input{name: "standard input", file: os.Stdin}
	if name != "-" {
		f, err := os.Open(name) // waits for the writer of a FIFO
		if err != nil {
			return nil, err // names the file
		}
		in.name, in.file = name, f
	}
	var r io.Reader = in.file
	if info, err := in.file.Stat(); err == nil && info.Mode().IsRegular() {
		in.size = info.Size()
	} else {
		in.pipe = true
		r = newPipeReader(ctx, in.file, idle)
	}
	in.Reader = bufio.NewReaderSize(r, 16) // for a first look; larger reads pass it by
	return in, nil
}

func (in *input) Close() error { return in.file.Close() }
