package view

import "kax/internal/timeline"

// OnlyConn shows in v what concerns one connection, by its number, and the
// header and the summary of all. With 0 it is v.
func OnlyConn(v View, id int) View {
	if id == 0 {
		return v
	}
	return onlyConn{v, id}
}

type onlyConn struct {
	View
	id int
}

// Record shows r.
func (v onlyConn) Record(r timeline.Record) error {
	of := v.id
	switch {
	case r.Event != nil:
		of = r.Event.Conn
	case r.Conn != nil:
		of = r.Conn.ID
	case r.Death != nil:
		of = r.Death.Conn
	case r.Exchange != nil:
		of = r.Exchange.Conn
	}
	if of != v.id {
		return nil
	}
	return v.View.Record(r)
}
