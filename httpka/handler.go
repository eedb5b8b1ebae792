package httpka

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Handler returns the server's paths:
//
//	/        says in plain words what the others do
//	/keep    answers and leaves the connection open for the next request
//	/close   answers with "Connection: close" and closes
//	/bytes   answers with a body of a size, in one piece or chunked
//	/slow    waits before it answers
//	/rst     resets the connection instead of answering
//	/half    breaks off in the middle of its response's body
//	/status  lists the connections of the server, as JSON
//
// What goes at a connection itself (/rst and /status, and for RST /close and
// /half) needs a [Server]; elsewhere it is answered with 501.
func Handler(closeWith CloseWith) http.Handler {
	h := handler{closeWith}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, errors.New("no such path; / says what there is"))
	})
	mux.HandleFunc("/{$}", readOnly(func(w http.ResponseWriter, _ *http.Request) { say(w, index) }))
	mux.HandleFunc("/status", readOnly(showStatus))
	for path, serve := range map[string]http.HandlerFunc{
		"/keep": keep, "/close": h.close, "/bytes": sendBytes, "/slow": slow, "/rst": reset, "/half": h.half,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			// With a body left unread net/http may give up the connection, or
			// begin its end with a FIN of its own.
			_, _ = io.Copy(io.Discard, r.Body) // a failed read shows on the connection
			serve(w, r)
		})
	}
	return mux
}

type handler struct{ closeWith CloseWith }

const index = `kax http serve: paths that treat their connection differently

  /keep    answers and keeps the connection open: in HTTP/1.1 that is the rule,
           in HTTP/1.0 the client has to ask for it (Connection: keep-alive)
  /close   answers with "Connection: close" and closes: the next request needs
           a new connection, and so a new TCP handshake
  /bytes   answers with a body of n bytes: /bytes?n=100000, at most 1 GiB; its
           end is told by Content-Length, or by chunks: /bytes?n=5000&chunked=1
  /slow    waits before it answers: /slow?d=2s, or seconds: /slow?d=90, at most
           10 minutes
  /rst     takes the request and resets the connection instead of answering
  /half    promises 1000 bytes, sends 500 of them and closes
  /status  lists this server's connections as JSON; ?closed=1 adds the last 1000
           that are over

In /status: conn is the connection's number, in the order of accepting; peer the
client's address; state new (nothing asked yet), active, idle or closed; requests
how many have been answered; idle for how many seconds it has been so; age since
when it is, or was, open; self whether it is the one that asks, whose present
request does not count yet; socket its TCP keepalive as the kernel has it; closed
why it ended.

None of this has to do with TCP keepalive, which is the kernel asking on an idle
connection whether the other end is still there.
`

func keep(w http.ResponseWriter, r *http.Request) {
	// The request's own word (RFC 9112 section 9.3), or the server's.
	if r.Close || w.Header().Get("Connection") == "close" {
		say(w, "not kept: one side closes after this response\n")
		return
	}
	say(w, "kept: this connection may carry another request\n")
}

func (h handler) close(w http.ResponseWriter, r *http.Request) {
	if !h.goodbye(w, r, "") {
		return
	}
	w.Header().Set("Connection", "close")
	say(w, "closed: this was the connection's last response\n")
}

// goodbye prepares the end of the connection after the response.
func (h handler) goodbye(w http.ResponseWriter, r *http.Request, why string) bool {
	c := connOf(r)
	if h.closeWith == RST && (c == nil || c.resetOnClose() != nil) {
		refuse(w, http.StatusNotImplemented, errNotOurs)
		return false
	}
	if c != nil && why != "" {
		if h.closeWith == RST {
			why += ", with a reset"
		}
		c.because(why)
	}
	return true
}

// block is what bodies are made of: lines of 64 bytes.
var block = sync.OnceValue(func() []byte {
	return []byte(strings.Repeat(strings.Repeat("kax ", 15)+"kax\n", 512))
})

func write(w io.Writer, n int) {
	for n > 0 {
		sent, err := w.Write(block()[:min(n, len(block()))])
		if err != nil {
			return // shows on the connection
		}
		n -= sent
	}
}

func sendBytes(w http.ResponseWriter, r *http.Request) {
	q := query(r, "n", "chunked")
	n, chunked := q.size("n", 1000), q.flag("chunked")
	if q.err != nil {
		refuse(w, http.StatusBadRequest, q.err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if chunked {
		// The head goes before net/http could see how long the body is.
		_ = http.NewResponseController(w).Flush()
	} else {
		w.Header().Set("Content-Length", strconv.Itoa(n))
	}
	if r.Method != http.MethodHead {
		write(w, n)
	}
}

func slow(w http.ResponseWriter, r *http.Request) {
	q := query(r, "d")
	d := q.wait("d", time.Second)
	if q.err != nil {
		refuse(w, http.StatusBadRequest, q.err)
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		say(w, "waited "+d.String()+"\n")
	case <-r.Context().Done():
		panic(http.ErrAbortHandler) // there is nobody to answer
	}
}

func reset(w http.ResponseWriter, r *http.Request) {
	c := connOf(r)
	if c == nil || c.resetOnClose() != nil {
		refuse(w, http.StatusNotImplemented, errNotOurs)
		return
	}
	c.because("the server reset it")
	panic(http.ErrAbortHandler)
}

// half leaves net/http with less than it promised, which ends the connection.
func (h handler) half(w http.ResponseWriter, r *http.Request) {
	const whole = 1000
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if r.Method == http.MethodHead { // there is no body to break off in
		w.Header().Set("Content-Length", strconv.Itoa(whole))
		return
	}
	if !h.goodbye(w, r, "broke off in mid-body") {
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(whole))
	write(w, whole/2)
}

var errNotOurs = errors.New("this connection is not kax's own: it can be neither reset nor listed")

// readOnly refuses what is no GET or HEAD.
func readOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed, errors.New("this path takes GET and HEAD only"))
			return
		}
		next(w, r)
	}
}

// refuse answers with one line.
func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	send(w, status, strings.ReplaceAll(err.Error(), "\n", " ")+"\n")
}

func say(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	send(w, http.StatusOK, text)
}

func send(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a failed write shows on the connection
}
