package httpka_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"kax/httpka"
)

// A maker writes random messages, each of which has one meaning only, in the
// many ways that RFC 9112 has for it.
type maker struct{ *rand.Rand }

func (r maker) one(of ...string) string { return of[r.IntN(len(of))] }

// fields writes lines in any order, with others between them.
func (r maker) fields(lines []string) string {
	for range r.IntN(4) {
		lines = append(lines, r.one("Accept: a", "X-A:", "x-b: \t b ", "Via: 1.1 c, 1.1 d", "Cookie: e=\"f:g\"", "X-Folded: h\r\n i"))
	}
	r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return strings.Join(append(lines, "", ""), r.one("\r\n", "\n"))
}

// body writes a body of up to 50 bytes, and the lines that say where it ends.
func (r maker) body() (lines []string, body string, length int64) {
	data := strings.Repeat("GET / HTTP/1.1\r\n\r\n", 3)[:r.IntN(51)]
	n := len(data)
	if r.IntN(2) == 0 {
		line := fmt.Sprintf("%s: %s%d", r.one("Content-Length", "content-length"), r.one("", "0"), n)
		return slices.Repeat([]string{line}, 1+r.IntN(2)), data, int64(n) // equal ones are one
	}
	var b strings.Builder
	for len(data) > 0 {
		k := 1 + r.IntN(len(data))
		fmt.Fprintf(&b, r.one("%x%s\r\n%s\r\n", "0%X%s\r\n%s\r\n"), k, r.one("", ";a", ";a=\"b\""), data[:k])
		data = data[k:]
	}
	fmt.Fprintf(&b, "%s\r\n%s\r\n", r.one("0", "000"), r.one("", "Trailer: a\r\n", "Trailer: a\r\nX-B: c\r\n"))
	return []string{r.one("Transfer-Encoding: chunked", "transfer-encoding:CHUNKED")}, b.String(), int64(n)
}

// A conversation of random messages is read message by message as net/http
// reads it, and as it was meant.
func TestConversationAgainstNetHTTP(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		r := maker{rand.New(rand.NewPCG(seed, 1))}
		var client, server strings.Builder
		var methods []string
		var meant [2][]int64 // bodies
		for range 1 + r.IntN(8) {
			method := r.one("GET", "HEAD", "POST", "DELETE", "PATCH")
			methods = append(methods, method)
			var lines []string
			var body string
			var n int64
			if r.IntN(2) == 0 {
				lines, body, n = r.body()
			}
			meant[0] = append(meant[0], n)
			lines = append(lines, r.one("X-C: d", "Connection: keep-alive", "Connection: a, Close", "Keep-Alive: timeout=5"))
			client.WriteString(r.one("", "\r\n", "\n") + method + " " + r.one("/", "/a?b", "*", "http://a/") + " HTTP/1.1" + r.one("\r\n", "\n") + r.fields(lines) + body)

			for range r.IntN(3) {
				meant[1] = append(meant[1], 0)
				server.WriteString("HTTP/1.1 " + r.one("100 Continue", "103 Early Hints", "199 x") + "\r\n" + r.fields(nil))
			}
			lines, body, n = r.body()
			status := r.one("200 OK", "404 Not Found", "500", "204 No Content", "304 Not Modified")
			if method == "HEAD" || status[0] == '3' {
				body, n = "", 0
			} else if status[:3] == "204" {
				lines, body, n = nil, "", 0
			}
			meant[1] = append(meant[1], n)
			lines = append(lines, r.one("X-C: d", "Connection: keep-alive", "Connection: close", "connection: a\r\nConnection: b"))
			server.WriteString("HTTP/1.1 " + status + r.one("\r\n", "\n") + r.fields(lines) + body)
		}
		s := talk{">" + client.String(), "<" + server.String(), "<FIN"}
		var got [2][]httpka.Finding
		for _, f := range s.run(new(httpka.Conversation), splitter(seed)) {
			if f.Stage == httpka.MessageComplete {
				side := 0
				if f.Message.FromServer {
					side = 1
				}
				got[side] = append(got[side], f)
			} else if f.Err != nil {
				t.Fatalf("seed %d: %v\n%q", seed, f.Err, s)
			}
		}
		theirs := [2][]reading{readStandard(t, []byte(client.String()), nil), readStandard(t, []byte(server.String()), methods)}
		for side := range got {
			var ours, std []int64
			for _, f := range got[side] {
				ours = append(ours, f.Message.Body)
			}
			for _, m := range theirs[side] {
				std = append(std, m.body)
			}
			if !slices.Equal(ours, meant[side]) || !slices.Equal(std, meant[side]) {
				t.Fatalf("seed %d, bodies %v, net/http %v, meant %v\n%q", seed, ours, std, meant[side], s[side])
			}
			for i, f := range got[side] {
				m, header := &f.Message, http.Header(nil)
				if side == 0 {
					header = theirs[0][i].request.Header
				} else {
					header = theirs[1][i].response.Header
					checkReuse(t, f.Reuse, m, theirs[1][i].response, theirs[0])
				}
				checkFields(t, m, header)
			}
		}
	}
}
