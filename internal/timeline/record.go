// Package timeline puts packets and what HTTP programs say of themselves on
// one ordered timeline, as records, and sums them up.
package timeline

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"kax/httpka"
	"kax/tcpka"
)

// Schema is the version of the records' format. Keys may be added within a
// version; a key keeps its meaning.
const Schema = 1

// A Record is one line of the timeline. Exactly one field is set.
type Record struct {
	Header   *Header   `json:"header,omitempty"`
	Step     *Step     `json:"step,omitempty"`
	Event    *Event    `json:"event,omitempty"`
	Conn     *Conn     `json:"conn,omitempty"`
	Plan     *Plan     `json:"plan,omitempty"`
	Death    *Death    `json:"death,omitempty"`
	Socket   *Socket   `json:"socket,omitempty"`
	Change   *Change   `json:"change,omitempty"`
	Poke     *Poke     `json:"poke,omitempty"`
	Exchange *Exchange `json:"exchange,omitempty"`
	Idle     *Idle     `json:"idle,omitempty"`
	Race     *Race     `json:"race,omitempty"`
	Packet   *Packet   `json:"packet,omitempty"`
	Lab      *Lab      `json:"lab,omitempty"`
	Summary  *Summary  `json:"summary,omitempty"`
}

// Header comes first.
type Header struct {
	Schema   int       `json:"schema"`
	Version  string    `json:"version"`
	Command  string    `json:"command"`
	Started  time.Time `json:"started"`          // at=0
	Source   Source    `json:"source,omitempty"` // of packets; empty where none are looked at
	Settings Settings  `json:"settings,omitzero"`
}

// Source is the rung of the ladder that the packets come from.
type Source string

// The sources of DESIGN's ladder, best first.
const (
	AFPacket Source = "af_packet" // the host's network, or a namespace made by root
	UserNS   Source = "userns"    // an own user and network namespace
	Pipe     Source = "pipe"      // what another program captures
	Counters Source = "counters"  // no packets: inferred from TCP_INFO
	File     Source = "file"      // a capture that was made before
)

// Settings are what was asked for, and what the kernel made of it.
type Settings struct {
	Private   bool      `json:"netns"`               // the run has a network namespace of its own
	File      string    `json:"file,omitempty"`      // that was read
	Interface string    `json:"interface,omitempty"` // that was watched
	Server    string    `json:"server,omitempty"`
	ClientTCP Keepalive `json:"client_tcp,omitzero"` // zero where it is not kax's to know
	ServerTCP Keepalive `json:"server_tcp,omitzero"`
	HZ        int       `json:"hz,omitempty"`     // the kernel's timer ticks a second
	CutBy     Seconds   `json:"cut_by,omitempty"` // idle timeout of the middlebox that was asked about
	// LoopbackLeftOut is how many connections within this machine it was not asked about.
	LoopbackLeftOut int `json:"loopback_left_out,omitempty"`
	*HTTPSettings
	*RequestSettings
	*LabSettings
}

// HTTPSettings are those of a run with requests.
type HTTPSettings struct {
	IdleTimeout Seconds   `json:"idle_timeout,omitempty"` // the HTTP server's, where it is kax's
	Pauses      []Seconds `json:"pause"`                  // between the client's requests
	Reuse       bool      `json:"reuse"`
	CloseWith   string    `json:"close_with,omitempty"`
}

// Keepalive is one end's TCP keepalive, asked and as the kernel reads it back.
type Keepalive struct {
	Asked     KeepaliveOptions `json:"asked"`
	Effective KeepaliveOptions `json:"effective"`
}

// KeepaliveOptions are a socket's options under their usual names.
type KeepaliveOptions struct {
	Keepalive   bool    `json:"keepalive"`
	Idle        Seconds `json:"keepidle"`
	Interval    Seconds `json:"keepintvl"`
	Count       int     `json:"keepcnt"`
	UserTimeout Seconds `json:"user_timeout"`
}

// Options gives s its record form.
func Options(s tcpka.Settings) KeepaliveOptions {
	return KeepaliveOptions{s.Enabled, Seconds(s.Idle), Seconds(s.Interval), s.Count, Seconds(s.UserTimeout)}
}

// Settings is the opposite of [Options].
func (o KeepaliveOptions) Settings() tcpka.Settings {
	return tcpka.Settings{
		Enabled: o.Keepalive, Idle: time.Duration(o.Idle), Interval: time.Duration(o.Interval),
		Count: o.Count, UserTimeout: time.Duration(o.UserTimeout),
	}
}

// Step opens a part of an experiment.
type Step struct {
	At   Seconds `json:"at"`
	Name string  `json:"name"`
	Text string  `json:"text"`
}

// Lane is a half of the timeline.
type Lane string

// The two mechanisms.
const (
	TCP  Lane = "tcp"
	HTTP Lane = "http"
)

// Side is an end of a connection.
type Side string

// The two ends.
const (
	Client Side = "client"
	Server Side = "server"
)

// Event is one thing that happened on one lane. Which of the embedded parts
// are there depends on the kind.
type Event struct {
	At     Seconds `json:"at"`
	Conn   int     `json:"conn"`
	Lane   Lane    `json:"lane"`
	Kind   string  `json:"kind"`
	Side   Side    `json:"side"`             // who sent it
	Packet int     `json:"packet,omitempty"` // its number; on the http lane, of the packet that carried its first byte
	*Segment
	*Frame
	*Message
	*Request
	*Response
	Idle  Seconds `json:"idle,omitempty"`  // quiet time before a probe, a reusing request or an idle-close
	Nth   int     `json:"nth,omitempty"`   // of a probe: which of this side on this connection
	After Seconds `json:"after,omitempty"` // of an answer: since the probe; of established: since the SYN
	Due   *Window `json:"due,omitempty"`   // of a probe, where a plan was made: when it was to come
	Note  string  `json:"note,omitempty"`
}

// Segment is the packet of a tcp event.
type Segment struct {
	Src    netip.AddrPort `json:"src"`
	Dst    netip.AddrPort `json:"dst"`
	Seq    uint32         `json:"seq"`
	Ack    uint32         `json:"ack"`
	Len    int            `json:"len"`
	Window int            `json:"window"` // in bytes
	Flags  string         `json:"flags"`
}

// Message is what requests and responses have in common.
type Message struct {
	Version    string `json:"version"`
	Connection string `json:"connection"` // the header as sent, or empty
	KeepAlive  string `json:"keep_alive"` // likewise
}

// Request is an HTTP request.
type Request struct {
	Method string `json:"method"`
	Target string `json:"target"`
	Reused bool   `json:"reused"` // an earlier request has used this connection
}

// Response is an HTTP response.
type Response struct {
	Status int `json:"status"`
}

// Conn sums up one connection when it has ended.
type Conn struct {
	ID              int            `json:"id"`
	Client          netip.AddrPort `json:"client"`
	Server          netip.AddrPort `json:"server"`
	Requests        int            `json:"requests"`
	Reused          int            `json:"reused"`
	Probes          int            `json:"probes"`
	Answered        int            `json:"answered"`
	WindowProbes    int            `json:"window_probes"`
	Retransmissions int            `json:"retransmissions"`
	ClosedBy        Side           `json:"closed_by"` // who spoke first; empty while open
	Close           CloseHow       `json:"close"`
	Protocol        string         `json:"protocol,omitempty"` // that is not HTTP/1: tls, http/2 or other
	Opened          Seconds        `json:"opened"`
	Ended           Seconds        `json:"ended"`
}

// CloseHow is how a connection ended.
type CloseHow string

// The ends a connection can have.
const (
	ByFIN   CloseHow = "fin"
	ByRST   CloseHow = "rst"
	NotYet  CloseHow = "open"
	Timeout CloseHow = "timeout"
	Evicted CloseHow = "evicted" // forgotten, for want of room
)

// Summary comes last.
type Summary struct {
	Packets     int            `json:"packets"`
	Dropped     int            `json:"dropped"` // by the kernel, for want of buffer
	Connections int            `json:"connections"`
	Evicted     int            `json:"evicted,omitempty"` // connections that were forgotten for want of room
	Requests    int            `json:"requests"`
	Reused      int            `json:"reused"`
	Events      map[string]int `json:"events"` // by kind
	Answered    int            `json:"answered"`
	// KernelProbes is how far the namespace's TCPKeepAlive counter rose; nil
	// where other programs share the network.
	KernelProbes *int     `json:"kernel_probes,omitempty"`
	Verdicts     []string `json:"verdicts"`
	Proofs       []Proof  `json:"proofs,omitempty"` // of each verdict
}

// Seconds is a time span that is written as seconds, to the microsecond.
type Seconds time.Duration

// Duration is s as Go has it.
func (s Seconds) Duration() time.Duration { return time.Duration(s) }

// MarshalJSON writes seconds with up to six decimals.
func (s Seconds) MarshalJSON() ([]byte, error) {
	us := time.Duration(s).Round(time.Microsecond).Microseconds()
	return strconv.AppendFloat(nil, float64(us)/1e6, 'f', -1, 64), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return err
	}
	*s = Seconds(time.Duration(math.Round(f*1e6)) * time.Microsecond)
	return nil
}

// Clone returns a copy that stays as it is when e is used again.
func (e *Event) Clone() *Event {
	c := *e
	if e.Segment != nil {
		s := *e.Segment
		c.Segment = &s
	}
	if e.Frame != nil {
		f := *e.Frame
		f.Bytes = slices.Clone(f.Bytes)
		c.Frame = &f
	}
	if e.Message != nil {
		m := *e.Message
		c.Message = &m
	}
	if e.Request != nil {
		r := *e.Request
		c.Request = &r
	}
	if e.Response != nil {
		r := *e.Response
		c.Response = &r
	}
	if e.Due != nil {
		d := *e.Due
		c.Due = &d
	}
	return &c
}

// TCPKinds lists the kinds that events of the tcp lane may have.
func TCPKinds() []string {
	var kinds []string
	for k := tcpka.Ack; k <= tcpka.RST; k++ {
		kinds = append(kinds, k.String())
	}
	return kinds
}

// Opaque is the kind of an http event that says why there are no others: the
// connection carries something else.
const Opaque = "opaque"

// Kinds lists the kinds that events may have.
func Kinds() []string {
	kinds := TCPKinds()
	for _, k := range []httpka.Kind{
		httpka.Request, httpka.Response, httpka.Interim, httpka.Upgrade, httpka.IdleClose, httpka.Error, httpka.Retry,
	} {
		kinds = append(kinds, k.String())
	}
	return append(kinds, Opaque)
}
