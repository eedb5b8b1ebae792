// Package tcpka is about TCP keepalive: the question "is the peer still
// there?", asked by the kernel on a connection that has gone quiet.
//
// # The mechanism
//
// A socket with SO_KEEPALIVE on has a timer. When nothing has been received
// for the idle time (TCP_KEEPIDLE), the kernel sends a probe: a segment
// without data whose sequence number is one below the next one to be sent. No
// peer can accept it, so RFC 9293 section 3.10.7.4 makes the peer's kernel
// answer with an acknowledgment. The program at the other end never hears of
// it. An answer starts the idle time again. Without one the next probe follows
// after the interval (TCP_KEEPINTVL), and after so many unanswered ones
// (TCP_KEEPCNT) the kernel gives the connection up: reads fail with ETIMEDOUT.
//
// A probe carries no byte. It says nothing of whether the peer's program is
// alive, and nothing of whether an HTTP server will take another request on
// this connection: that is a mechanism of its own, with a confusingly similar
// name.
//
// # Settings
//
// [Settings] are put on a socket by [Set] and read back by [Get]. Times are
// whole seconds of 1 to 32767, the count is 1 to 127; the kernel refuses
// anything else with EINVAL, and so does this package, before it touches the
// socket. A zero field leaves what the socket has.
//
// # Go's own defaults
//
// Package net sets keepalive on every connection it dials or accepts (15 s
// idle, 15 s interval, 9 probes), and does so after the Control function has
// run, so options set there are overwritten. Setting KeepAlive to a negative
// value makes net leave the socket alone. [Settings.Dialer] and
// [Settings.ListenConfig] do this.
//
// # Probes in a capture
//
// A [Flow] is fed the segments of one connection in order and says what each
// is. A zero-window probe has the same bytes as a keepalive probe, and a
// retransmitted byte looks much like one; Flow tells them apart by the rule of
// the sending kernel, which sends keepalive probes only while everything has
// been acknowledged and no data waits to be sent. What waits does not show in
// packets: behind a closed window Flow takes it that something does.
//
// # Use from another module
//
// The module is called kax and has no home on the network. Use it from a
// clone, by a workspace (go work use) or by a replace line in go.mod:
//
//	require kax v0.0.0
//	replace kax => ../kax
package tcpka
