package httpka_test

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"kax/httpka"
)

type connStatus struct {
	Conn     int
	Peer     string
	State    string
	Requests int
	Idle     *float64
	Age      float64
	Self     bool
	Socket   string
	Closed   string
}

func (r *raw) status(path string) []connStatus {
	r.t.Helper()
	resp, body := r.body(get1(path))
	var list []connStatus
	dec := json.NewDecoder(strings.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&list); err != nil || resp.Header.Get("Content-Type") != "application/json" {
		r.t.Fatalf("%v: %s", err, body)
	}
	if strings.Count(body, "\n") != len(list) {
		r.t.Errorf("not a line each: %s", body)
	}
	return list
}

func TestStatus(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	_, addr := serve(t, httpka.ServerConfig{OnEvent: rec.tell, Socket: func(c net.Conn) any { return c.RemoteAddr().String() }})
	var conns []*raw
	for i := range 4 {
		conns = append(conns, dialRaw(t, addr))
		rec.wait(t, httpka.Opened, i+1) // the numbers are the order of accepting
	}
	fresh, busy, used, asking := conns[0], conns[1], conns[2], conns[3]
	busy.send(get1("/slow?d=10m"))
	for range 3 {
		used.send(keepRequest)
		used.response("GET")
	}
	var list []connStatus
	for deadline := time.Now().Add(patience); ; { // a server is idle, or busy, a moment after what a client sees
		list = asking.status("/status")
		if len(list) == 4 && list[1].State == "active" && list[2].State == "idle" || time.Now().After(deadline) {
			break
		}
	}
	for i, want := range []connStatus{
		{Conn: 1, State: "new", Peer: fresh.LocalAddr().String()},
		{Conn: 2, State: "active", Peer: busy.LocalAddr().String()},
		{Conn: 3, State: "idle", Peer: used.LocalAddr().String(), Requests: 3},
		{Conn: 4, State: "active", Peer: asking.LocalAddr().String(), Requests: len(rec.of(httpka.Response)) - 4, Self: true},
	} {
		want.Socket = want.Peer
		got := list[i]
		if (got.Idle != nil) != (want.State == "idle") || got.Idle != nil && *got.Idle < 0 || got.Age <= 0 {
			t.Errorf("%+v: idle %v", got, got.Idle)
		}
		want.Idle, want.Age = got.Idle, got.Age
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}

	used.Close()
	rec.wait(t, httpka.Closed, 1)
	if list = asking.status("/status"); len(list) != 3 {
		t.Errorf("%d connections, want 3", len(list))
	}
	for deadline := time.Now().Add(patience); len(list) != 4 && time.Now().Before(deadline); {
		list = asking.status("/status?closed=1")
	}
	if got := list[2]; got.State != "closed" || got.Closed != "the client closed" || got.Requests != 3 || got.Socket != "" {
		t.Errorf("closed: %+v", got)
	}
}

// What is over is remembered, but not for ever.
func TestStatusForgets(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	_, addr := serve(t, httpka.ServerConfig{OnEvent: rec.tell})
	const n = 1010
	for range n {
		c := dialRaw(t, addr)
		c.send(get1("/close"))
		c.response("GET")
		c.Close()
	}
	rec.wait(t, httpka.Closed, n)
	asking := dialRaw(t, addr)
	list := asking.status("/status?closed=1")
	for deadline := time.Now().Add(patience); len(list) != 1001 && time.Now().Before(deadline); {
		list = asking.status("/status?closed=1") // the last ones are being put down
	}
	if len(list) != 1001 || !list[1000].Self {
		t.Errorf("%d connections of %d and this", len(list), n)
	}
}
