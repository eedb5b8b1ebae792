// Package httpka is about HTTP keep-alive, persistent connections: the
// question "may this connection carry another request?", answered by client
// and server, message by message.
//
// # The mechanism
//
// RFC 9112 section 9.3 has the rules. In HTTP/1.1 a connection persists after
// a response unless one side sent "Connection: close". In HTTP/1.0 it closes
// unless both sent "Connection: keep-alive". The body must have been read to
// its end, or the next response could not be found in the stream. And either
// side may close an idle connection at any time: servers do so after their
// idle timeout, and a client that sends its next request at that moment loses
// it. The header "Keep-Alive: timeout=5, max=100" announces such limits; many
// clients, Go's among them, ignore it.
//
// None of this is TCP keepalive. The kernel's probes carry no byte, the HTTP
// server never sees them, and its idle timeout runs on while they are
// answered.
//
// # What is here
//
// A [Server] serves a few paths that keep or close their connection, and a
// [Client] sends requests; both tell an OnEvent function what they put on each
// connection: requests with whether they reused it, responses with their
// Connection and Keep-Alive headers as sent, and closes with their reason.
// [Client.Exchange] says of a request which connection carried it, and of a new
// connection why: a [Reason], by what was said and seen on the ones before.
// Either may be used without the other. A server serves any http.Handler on any
// net.Listener, over TLS too; the paths of its own, [Handler], also work in
// another server as far as they do not go at the connection itself.
//
// A [Conversation] reads HTTP/1 out of the bytes of any connection, fed in
// pieces: its own end's, or the payloads of captured packets. It tells each
// message at the end of its head and at its end, with its place in the stream,
// and after each response the verdict: may the connection carry another
// request, who decided that, and why. It keeps no bodies, and ends in a clear
// error what it cannot follow: TLS, HTTP/2, a head over 64 KiB.
//
// An [IdleFinder] measures how long idle connections last, and how they end: by
// the server's goodbye, or without a word, as behind a NAT that forgets them. A
// [Racer] sends requests just then, and tells which are lost.
//
// # Use from another module
//
// The module is called kax and has no home on the network. Use it from a
// clone, by a workspace (go work use) or by a replace line in go.mod:
//
//	require kax v0.0.0
//	replace kax => ../kax
package httpka
