package web

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// policy lets a page run the scripts that are served with it, and load and send
// nothing elsewhere.
const policy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// A guard lets in who has the session. An address of loopback keeps nobody out who
// is on this machine: other users, and the pages of other sites in the same browser.
type guard struct {
	hosts   []string // what a browser may call this server
	cookie  string   // its name; cookies have no port (RFC 6265 section 8.5), so the name has it
	session string

	mu    sync.Mutex
	token string // for one use; then empty
}

func newGuard(host, port string) *guard {
	g := &guard{cookie: "kax-" + port, session: rand.Text(), token: rand.Text()}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	g.hosts = []string{host + ":" + port, "localhost:" + port}
	return g
}

// admit exchanges the token, which may be seen in the list of processes or in a
// browser's history, for the session; once.
func (g *guard) admit(token string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(g.token)) != 1 {
		return false
	}
	g.token = ""
	return true
}

func (g *guard) knows(r *http.Request) bool {
	c, err := r.Cookie(g.cookie)
	return err == nil && subtle.ConstantTimeCompare([]byte(c.Value), []byte(g.session)) == 1
}

// wrap guards every request to next.
func (g *guard) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		// A name of somebody else's may lead here (DNS rebinding); the browser
		// says by which it came.
		if !slices.Contains(g.hosts, r.Host) {
			refuse(w, http.StatusMisdirectedRequest, "this is not "+r.Host)
			return
		}
		// A page of another site may send, though not read (Fetch, section 3.2).
		origin := r.Header.Get("Origin")
		if origin != "" && origin != "http://"+r.Host || origin == "" && r.Method != http.MethodGet && r.Method != http.MethodHead {
			refuse(w, http.StatusForbidden, "only kax's own page may ask for this")
			return
		}
		if token := r.URL.Query().Get("token"); token != "" && r.URL.Path == "/" && r.Method == http.MethodGet {
			if g.admit(token) {
				http.SetCookie(w, &http.Cookie{Name: g.cookie, Value: g.session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
			} else if !g.knows(r) {
				refuse(w, http.StatusForbidden, "this address has been used, and works once; start kax ui again for another")
				return
			}
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		if !g.knows(r) {
			refuse(w, http.StatusForbidden, "open the address that kax ui has printed, with its token")
			return
		}
		next.ServeHTTP(w, r)
	})
}
