package httpka

import (
	"fmt"
	"io"
	"net/http"
)

// Handler returns the server's paths:
//
//	/       says in plain words what the others do
//	/keep   answers and leaves the connection open for the next request
//	/close  answers with "Connection: close" and closes
//
// Served by a [Server] and asked for RST, /close ends with a reset.
func Handler(closeWith CloseWith) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		say(w, index)
	})
	mux.HandleFunc("/keep", func(w http.ResponseWriter, r *http.Request) {
		// net/http gives up a connection with much of a body left unread.
		_, _ = io.Copy(io.Discard, r.Body) // a failed read shows on the connection
		if r.Close {                       // the request's own word (RFC 9112 section 9.3)
			say(w, "not kept: this request asked to close, or is HTTP/1.0 and did not ask to keep\n")
			return
		}
		say(w, "kept: this connection may carry another request\n")
	})
	mux.HandleFunc("/close", func(w http.ResponseWriter, r *http.Request) {
		// With a body left unread net/http would begin with a FIN of its own.
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Connection", "close")
		if closeWith == RST {
			c, ok := r.Context().Value(connKey{}).(*serverConn)
			if !ok || c.resetOnClose() != nil {
				http.Error(w, "this connection cannot be reset", http.StatusNotImplemented)
				return
			}
		}
		say(w, "closed: this was the connection's last response\n")
	})
	return mux
}

const index = `kax http serve: two paths that treat their connection differently

  /keep    answers and keeps the connection open: in HTTP/1.1 that is the rule,
           in HTTP/1.0 the client has to ask for it (Connection: keep-alive)
  /close   answers with "Connection: close" and closes: the next request needs
           a new connection, and so a new TCP handshake

Neither has to do with TCP keepalive, which is the kernel asking on an idle
connection whether the other end is still there.
`

func say(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	_, _ = io.WriteString(w, text) // a failed write shows on the connection
}
