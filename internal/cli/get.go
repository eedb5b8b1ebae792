package cli

import (
	"os"
	"slices"

	"github.com/spf13/cobra"

	"kax/internal/sockets"
	"kax/internal/timeline"
	"kax/internal/view"
	"kax/tcpka"
)

func (a *app) tcpGetCmd() *cobra.Command {
	var (
		f    targetFlags
		json bool
	)
	cmd := &cobra.Command{
		Use:   "get",
		Short: "a running program's keepalive settings, and what the kernel will do next",
		Long: `Reads the keepalive settings of a TCP socket that another program has open:
which options it set is otherwise its own secret. Nothing is sent, nothing is
changed, and the program notices nothing. It takes the right to trace the
program: being its user, or root.`,
		Example: `  kax tcp get --pid "$PID" --fd "$FD"
  kax tcp get --pid "$PID" --peer :"$PORT"
  kax tcp get --pid "$PID" --all --json`,
		Args: atMost(0),
		RunE: a.run(func(cmd *cobra.Command, _ []string) error {
			t, err := f.open(a, cmd)
			if err != nil {
				return err
			}
			defer t.close()
			return a.tcpGet(cmd, t, json)
		}),
	}
	f.register(cmd, true)
	cmd.Flags().BoolVar(&json, "json", false, "write records, one JSON object a line (docs/reference/records.md)")
	return cmd
}

func (a *app) tcpGet(cmd *cobra.Command, t *target, json bool) error {
	hz, err := tcpka.HZ()
	if err != nil {
		return err
	}
	uid, err := t.process.UID()
	if err != nil {
		return err
	}
	v, err := a.details(cmd, json)
	if err != nil {
		return err
	}
	table := t.table()
	for _, b := range t.sockets {
		s, err := look(b)
		if err != nil {
			return err
		}
		r, touched := s.record(t.owner(b), uint32(uid)), sockets.Touched{}
		if row, ok := table[b.Number]; ok && row.Local == s.local && row.Peer == s.peer {
			// What the list knows better: timers, and whether data ever went.
			var listed socketRecord
			listed.fill(row)
			r.Timer, r.Expires = listed.socket.Timer, listed.socket.Expires
			r.Also = slices.DeleteFunc(listed.socket.Also, func(o timeline.Owner) bool { return o.PID == os.Getpid() })
			r.LastSent, r.LastReceived, r.LastAck = listed.socket.LastSent, listed.socket.LastReceived, listed.socket.LastAck
			if row.Timer == sockets.KeepaliveTimer {
				touched.Expires = &row.Expires
			}
		}
		r.Next = sockets.Next(s.status, s.settings, touched, hz)
		if err := v.Record(timeline.Record{Socket: &r}); err != nil {
			return err
		}
	}
	return nil
}

// record is the socket as its descriptor shows it.
func (s *seen) record(owner timeline.Owner, uid uint32) timeline.Socket {
	o := timeline.Options(s.settings)
	r := timeline.Socket{
		State: s.status.State.String(), Local: s.local, Peer: s.peer,
		UID: uid, PID: owner.PID, Process: owner.Process, FD: &owner.FD,
		ProbesOut:      s.status.ProbesOut,
		Keepalive:      &s.settings.Enabled,
		KeepaliveTimes: &timeline.KeepaliveTimes{Idle: o.Idle, Interval: o.Interval, Count: o.Count, UserTimeout: o.UserTimeout},
	}
	if s.status.State != sockets.Listen && s.status.State != sockets.Closed {
		r.LastSent, r.LastReceived, r.LastAck = (*timeline.Seconds)(&s.status.LastSent),
			(*timeline.Seconds)(&s.status.LastReceived), (*timeline.Seconds)(&s.status.LastAck)
	}
	return r
}

// details returns the view of single sockets, with the header written.
func (a *app) details(cmd *cobra.Command, json bool) (view.View, error) {
	o := view.Options{Width: width(a.stdout)}
	var v view.View = view.NewDetails(a.stdout, o)
	if json {
		v = view.NewJSON(a.stdout, o)
	}
	return v, v.Record(a.header(commandName(cmd), timeline.Settings{}))
}
