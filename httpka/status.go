package httpka

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// maxClosed is how many connections that are over /status remembers.
const maxClosed = 1000

// status is a connection as /status shows it; times are in seconds.
type status struct {
	Conn     int      `json:"conn"`
	Peer     string   `json:"peer"`
	State    string   `json:"state"`    // new, active, idle or closed
	Requests int      `json:"requests"` // answered
	Idle     *float64 `json:"idle,omitempty"`
	Age      float64  `json:"age"`
	Self     bool     `json:"self"`
	Socket   any      `json:"socket,omitempty"`
	Closed   string   `json:"closed,omitempty"`
}

// status describes the connection, whose lock is held.
func (c *serverConn) status() status {
	st := status{
		Conn: c.number, Peer: addrPort(c.RemoteAddr()).String(), State: c.state.String(),
		Requests: c.responses, Age: time.Since(c.opened).Seconds(),
	}
	if !c.idleSince.IsZero() {
		idle := time.Since(c.idleSince).Seconds()
		st.Idle = &idle
	}
	return st
}

// connections lists those that are open, and on demand the last closed ones,
// in the order in which they were accepted.
func (s *Server) connections(asking *serverConn, closed bool) []status {
	var list []status
	s.mu.Lock()
	open := make([]*serverConn, 0, len(s.open))
	for c := range s.open {
		open = append(open, c)
	}
	if closed {
		list = append(list, s.closed...)
	}
	s.mu.Unlock()
	for _, c := range open {
		c.mu.Lock()
		st, over := c.status(), c.closed
		c.mu.Unlock()
		if over {
			continue // since
		}
		st.Self = c == asking
		if s.cfg.Socket != nil {
			st.Socket = s.cfg.Socket(c.socket)
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b status) int { return cmp.Compare(a.Conn, b.Conn) })
	return list
}

func showStatus(w http.ResponseWriter, r *http.Request) {
	q := query(r, "closed")
	closed := q.flag("closed")
	c := connOf(r)
	switch {
	case q.err != nil:
		refuse(w, http.StatusBadRequest, q.err)
		return
	case c == nil:
		refuse(w, http.StatusNotImplemented, errNotOurs)
		return
	}
	var out bytes.Buffer
	for i, st := range c.server.connections(c, closed) {
		out.WriteString([]string{"[", ",\n "}[min(i, 1)])
		line, err := json.Marshal(st)
		if err != nil {
			refuse(w, http.StatusInternalServerError, err)
			return
		}
		out.Write(line)
	}
	out.WriteString("]\n") // the asking one is always there
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	send(w, http.StatusOK, out.String())
}
