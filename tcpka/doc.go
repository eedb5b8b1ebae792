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
// [Settings] are put on a socket by [Set], which returns what is in force then,
// and read by [Get]; [SetFD] and [GetFD] do the same for a raw descriptor. Times
// are whole seconds of 1 to 32767, the count is 1 to 127; the kernel refuses
// anything else with EINVAL, and so does this package, before it touches the
// socket. A zero field leaves what the socket has.
//
// This holds for Linux, macOS, FreeBSD, NetBSD, DragonFly, Solaris, illumos and
// Windows. On OpenBSD and AIX keepalive can be turned on and off, and a time or
// count is an error that wraps [errors.ErrUnsupported]: there they are the whole
// machine's. TCP_USER_TIMEOUT is Linux's alone.
//
// # Go's own defaults
//
// Package net sets keepalive on every connection it dials or accepts (15 s
// idle, 15 s interval, 9 probes), and does so after the Control function has
// run, so options set there are overwritten; net.FileConn does it too, to a
// socket that may be another process's as well. Setting KeepAlive to a negative
// value makes net leave the socket alone. [Settings.Dialer] and
// [Settings.ListenConfig] do this; the package example shows both ways.
//
// # The plan
//
// A [Plan] predicts what Linux does with given settings: when probes go, and
// when a peer that has gone is given up. Three things make that more than
// adding up. The timers never fire early, and late by up to a granule that
// grows with the distance: 32 ms for a second and 2 s for a minute, where HZ is
// 250. The keepalive timer is lazy: traffic does not move it, but when it fires
// it looks how long the connection has been idle, and sleeps again for the rest.
// And TCP_USER_TIMEOUT replaces the count, but is looked at only when the timer
// fires. What all of this leaves open is a [Window].
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
