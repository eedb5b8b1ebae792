package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kax/internal/dissect"
	"kax/internal/hexdump"
	"kax/internal/timeline"
	"kax/internal/view"
	"kax/internal/wire"
)

const linkAuto = "auto"

type decodeFlags struct {
	link  string
	json  bool
	color string
}

func (a *app) decodeCmd() *cobra.Command {
	f := decodeFlags{link: linkAuto}
	cmd := &cobra.Command{
		Use:   "decode [FILE|-]",
		Short: "a hex dump taken apart: its bytes, every field, what it means",
		Long: `Reads packets out of a hex dump and takes each apart: the bytes with their
layers marked, every field down to flag bits and TCP options in Wireshark's
words, and what it means. FILE is text; without one, or with -, standard input
is read.

A dump may come from Wireshark (copied as hex and ASCII), tshark -x, tcpdump
with -x, -xx, -X or -XX, xxd, hexdump -C, or od -t x1, or be digits alone in any
grouping. Several packets of one connection explain each other: sequence numbers
count from its first.

How the frames begin is guessed from their bytes, and said; --link decides it.`,
		Example: `  kax decode packet.txt
  kax decode packet.txt --link null
  kax decode packet.txt --json`,
		Args: atMost(1),
		RunE: a.run(func(_ *cobra.Command, args []string) error {
			name := "-"
			if len(args) > 0 {
				name = args[0]
			}
			return a.decode(f, name)
		}),
	}
	cmd.Flags().Var(oneOf(&f.link, linkAuto, "null", "loop", "ethernet", "raw", "sll", "sll2"), "link", "how frames begin; auto guesses")
	registerShown(cmd, &f.json, &f.color)
	return cmd
}

func (a *app) decode(f decodeFlags, name string) error {
	dumps, err := readDumps(name, a.stderr)
	if err != nil {
		return err
	}
	o := view.Options{Width: width(a.stdout), Color: colored(f.color, a.stdout)}
	var v view.View = view.NewLanes(a.stdout, o)
	if f.json {
		v = view.NewJSON(a.stdout, o)
	}
	if err := v.Record(a.header("decode", timeline.Settings{})); err != nil {
		return err
	}
	// A packet is shown with what those after it tell of its connection.
	var pass dissect.Pass
	contexts := make([]dissect.Context, len(dumps))
	links := a.linksOf(f.link, dumps)
	for i, d := range dumps {
		contexts[i] = pass.Next(dissect.Frame{Link: links[i], Data: d.Data, Length: len(d.Data)})
	}
	for i, d := range dumps {
		p := dissect.Packet(d.Data, contexts[i])
		if err := v.Record(timeline.Record{Packet: &p}); err != nil {
			return err
		}
	}
	return nil
}

// readDumps reads the packets of a file, or of standard input.
func readDumps(name string, stderr io.Writer) ([]hexdump.Packet, error) {
	in := os.Stdin
	switch {
	case name != "-":
		var err error
		if in, err = os.Open(name); err != nil {
			return nil, err
		}
		defer in.Close()
	case term.IsTerminal(int(in.Fd())):
		fmt.Fprintln(stderr, "kax: reading a hex dump from the terminal; ^D ends it")
	}
	if name == "-" {
		name = "standard input"
	}
	dumps, err := hexdump.Read(in)
	var at *hexdump.Error
	switch {
	case errors.As(err, &at), errors.Is(err, hexdump.ErrEmpty):
		return nil, withHint(fmt.Errorf("%s: %w", name, err), "a dump is as tcpdump -XX, tshark -x, xxd or hexdump -C print it, or digits alone")
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return dumps, nil
}

// linksOf is how each frame begins: as was asked, or as its bytes show, which is
// said once for each kind.
func (a *app) linksOf(asked string, dumps []hexdump.Packet) []wire.Link {
	var out []wire.Link
	for i, d := range dumps {
		link, why, sure := dissect.Guess(d.Data)
		switch {
		case asked != linkAuto:
			link, _ = wire.LinkNamed(asked)
		case !slices.Contains(out, link):
			doubt := ""
			if !sure {
				doubt = "; --link may know better"
			}
			fmt.Fprintf(a.stderr, "kax: packet %d taken for %v: %s%s\n", i+1, link, why, doubt)
		}
		out = append(out, link)
	}
	return out
}
