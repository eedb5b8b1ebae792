package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"kax/internal/sockets"
	"kax/internal/timeline"
	"kax/internal/times"
	"kax/tcpka"
)

type pokeFlags struct {
	target targetFlags
	wait   time.Duration
	force  bool
	json   bool
}

func (a *app) tcpPokeCmd() *cobra.Command {
	f := pokeFlags{wait: time.Second}
	cmd := &cobra.Command{
		Use:   "poke",
		Short: "is the peer of a running program's idle connection alive, now?",
		Long: `Makes the kernel send one keepalive probe at once on a connection that another
program has open, and tells whether the peer answers. The program notices
nothing, no byte reaches the peer's program either, and the keepalive settings
are as before: they are put back once the probe is out, also on ^C. Only a
kill -9 in the few milliseconds until then would leave a keepidle of 1 s. A
socket that followed the sysctl has the value as its own afterwards.

An unanswered probe counts as one of the connection's own, so a connection that
one lost probe could end is refused. So is one with data in flight, one that is
not established, and one that heard its peer within the last second: it tells
already. It takes the right to trace the program: being its user, or root.

Exit code 0 is answered; 3 is unanswered, or reset: the peer is there and knows
nothing of the connection.`,
		Example: `  kax tcp poke --pid "$PID" --fd "$FD"
  kax tcp poke --pid "$PID" --peer :"$PORT" --wait 3s --json`,
		Args: atMost(0),
		RunE: a.run(func(cmd *cobra.Command, _ []string) error {
			t, err := f.target.open(a, cmd)
			if err != nil {
				return err
			}
			defer t.close()
			return a.tcpPoke(cmd, t, f)
		}),
	}
	f.target.register(cmd, false)
	fs := cmd.Flags()
	fs.Var(duration(&f.wait, positive), "wait", "how long to wait for the answer: longer than the way there and back")
	fs.BoolVar(&f.force, "force", false, "poke though one lost probe could end the connection, or it is half closed")
	fs.BoolVar(&f.json, "json", false, "write records, one JSON object a line (docs/reference/records.md)")
	return cmd
}

func (a *app) tcpPoke(cmd *cobra.Command, t *target, f pokeFlags) error {
	b := t.sockets[0]
	s, err := look(b)
	if err != nil {
		return err
	}
	o, err := b.Poke(cmd.Context(), f.wait, f.force)
	if r := (*sockets.Refusal)(nil); errors.As(err, &r) && r.Forceable {
		return withHint(err, "--force pokes it all the same")
	} else if err != nil && o.Result == "" {
		return err
	}
	note := pokeNote(t.process, s.settings, o)
	if err != nil { // the probe is out
		err = fmt.Errorf("no answer for %s so far: %w", timeline.Brief(o.Waited), err)
		return withHint(err, "%s", join("the settings are as before", note))
	}
	v, err := a.details(cmd, f.json)
	if err != nil {
		return err
	}
	err = v.Record(timeline.Record{Poke: &timeline.Poke{
		Owner: t.owner(b), Local: s.local, Peer: s.peer,
		Result: string(o.Result), After: timeline.Seconds(o.After), Waited: timeline.Seconds(o.Waited),
		Note: note,
	}})
	if err == nil && o.Result != sockets.Answered {
		err = silent(exitProblem)
	}
	return err
}

// pokeNote says what a poke leaves behind.
func pokeNote(p *sockets.Process, s tcpka.Settings, o sockets.Outcome) string {
	switch {
	case o.Dead:
		return "the kernel has given the peer up: the connection is over"
	case o.Result == sockets.Reset:
		return "the connection is over"
	}
	note := ""
	if o.Result == sockets.Unanswered && s.Enabled {
		note = fmt.Sprintf("until the peer is heard it counts: the connection ends with %d unanswered, and has %d", s.Count, o.Probes)
	}
	if o.Used {
		note = join(note, "data crossed the connection meanwhile")
	}
	if idle, err := p.DefaultIdle(); err != nil || idle == s.Idle {
		note = join(note, fmt.Sprintf("if its keepidle, %v, was only that of the sysctl tcp_keepalive_time, it is the socket's own now", times.Clock(s.Idle)))
	}
	return note
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}
