package httpka_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"kax/httpka"
)

// decodeTalk makes steps of fuzz input: they stand between record separators,
// and begin with who sends them.
func decodeTalk(b []byte) (s talk) {
	for step := range bytes.SplitSeq(b, []byte{0x1e}) {
		if len(step) > 0 {
			side := ">"
			if step[0] == '<' {
				side = "<"
			}
			s = append(s, side+string(step[1:]))
		}
	}
	return s
}

func encodeTalk(s talk) []byte { return []byte(strings.Join(s, "\x1e")) }

// plain has neither gaps nor what would be taken for one.
func plain(s talk) bool {
	return !slices.ContainsFunc(s, func(step string) bool { return strings.HasPrefix(step[1:], "GAP") })
}

// No input makes a Conversation panic, or say what contradicts itself; and
// where its pieces are cut does not matter.
func FuzzConversation(f *testing.F) {
	for _, tt := range conversations {
		if b := encodeTalk(tt.talk); len(b) < 1000 { // large ones take their time
			f.Add(b, uint64(1))
		}
	}
	f.Fuzz(func(t *testing.T, input []byte, seed uint64) {
		s := decodeTalk(input)
		for i, step := range s {
			if strings.HasPrefix(step[1:], "GAP") { // as the tables have it, or a small one
				n := "3"
				if len(step) > 5 && step[5] == '-' {
					n = "-1"
				}
				s[i] = step[:1] + "GAP " + n
			}
		}
		var c httpka.Conversation
		found := s.run(&c, whole)
		checkFindings(t, s, found)
		if n := c.Unanswered(); n < 0 || n > 1000 {
			t.Errorf("%d unanswered", n)
		}
		c.Reset()
		if again := s.run(&c, whole); !same(again, found) {
			t.Errorf("%q\nonce  %v\nagain %v", s, found, again)
		}
		known := httpka.Conversation{Familiar: new(httpka.Familiar)}
		for range 2 { // the second time its lines are familiar
			if familiar := s.run(&known, whole); !same(familiar, found) {
				t.Errorf("%q\nfamiliar   %v\nunfamiliar %v", s, familiar, found)
			}
			known.Reset()
		}
		targetless := s.run(&httpka.Conversation{NoTargets: true}, whole)
		if ahead := s.ahead(known.Familiar); !same(ahead, targetless) {
			t.Errorf("%q\nahead       %v\nin its turn %v", s, ahead, targetless)
		}
		if plain(s) {
			if cut := s.run(new(httpka.Conversation), splitter(seed)); !same(cut, found) {
				t.Errorf("%q\ncut   %v\nwhole %v", s, cut, found)
			}
		}
	})
}

// checkFindings checks what holds whatever was fed.
func checkFindings(t *testing.T, s talk, found []httpka.Finding) {
	t.Helper()
	var last [2]httpka.Finding
	var sent [2]int64
	for i, step := range s {
		side := 0
		if s.fromServer(i) {
			side = 1
		}
		sent[side] += int64(len(step) - 1)
	}
	answered := map[int]bool{}
	for i, f := range found {
		m, side := f.Message, 0
		if m.FromServer {
			side = 1
		}
		before := last[side]
		open := before.Stage == httpka.HeadComplete && before.Message.Version != ""
		bad := func(what string) { t.Errorf("%q\nfinding %d: %s: %+v\nafter %+v", s, i, what, f, before) }
		switch f.Stage {
		case httpka.HeadComplete:
			if open {
				bad("the last message was not complete")
			}
			if m.Version == "" || m.HeadEnd <= m.Start || m.End != 0 || m.Start < before.Message.End {
				bad("head")
			}
			if m.FromServer != (m.Status != 0) || !m.FromServer && (m.Method == "" || m.Target == "" || m.Nth == 0) {
				bad("start-line")
			}
		case httpka.MessageComplete:
			if !open || m.Start != before.Message.Start {
				bad("no head before")
			}
			if m.End < m.HeadEnd || m.End-m.HeadEnd < m.Body || m.Length >= 0 && m.Body != m.Length {
				bad("length")
			}
			if m.FromServer && !m.Interim() {
				if (f.Reuse.Why == httpka.WhyUnknown) || answered[m.Nth] && m.Nth > 0 {
					bad("reuse")
				}
				answered[m.Nth] = true
			} else if f.Reuse != (httpka.Reuse{}) {
				bad("reuse of nothing")
			}
		case httpka.MessageBroken:
			if open != (m.HeadEnd > 0) {
				bad("head before, or none")
			}
			if f.Err == nil || f.Reuse.May == httpka.ReuseYes {
				bad("broken")
			}
		}
		if (f.Err != nil) != (f.Stage == httpka.MessageBroken) {
			bad("error")
		}
		if max(m.Start, m.HeadEnd, m.End) > sent[side] {
			bad("offset beyond what was sent")
		}
		if strings.ContainsAny(m.Method+m.Target+m.Version+m.Phrase+m.Connection+m.KeepAlive, "\r\n\x00") {
			bad("more than a line")
		}
		last[side] = f
	}
}

// reading is what net/http's own readers make of a message.
type reading struct {
	request  *http.Request
	response *http.Response
	body     int64
	interim  bool
}

// readStandard reads a stream up to the first message that net/http refuses or
// finds cut: requests, or the responses to methods.
func readStandard(t *testing.T, stream []byte, methods []string) (all []reading) {
	// Its readers take no empty lines before a message: the servers and
	// clients around them do, some of them.
	r := bufio.NewReaderSize(bytes.NewReader(stream), 128<<10)
	for {
		for {
			b, _ := r.Peek(2)
			if n := len(b); n > 0 && b[0] == '\n' {
				r.Discard(1)
			} else if n == 2 && string(b) == "\r\n" {
				r.Discard(2)
			} else {
				break
			}
		}
		var m reading
		var body io.ReadCloser
		var err error
		if methods == nil {
			if m.request, err = http.ReadRequest(r); err == nil {
				body = m.request.Body
			}
		} else {
			request := &http.Request{Method: "GET"}
			if len(methods) > 0 {
				request.Method = methods[0]
			}
			if m.response, err = http.ReadResponse(r, request); err == nil {
				body = m.response.Body
				m.interim = m.response.StatusCode/100 == 1 && m.response.StatusCode != 101
				if !m.interim && len(methods) > 0 {
					methods = methods[1:]
				}
			}
		}
		if err != nil {
			return all
		}
		if m.body, err = io.Copy(io.Discard, body); err != nil {
			return all
		}
		all = append(all, m)
	}
}

// differs says why net/http reads m, and all behind it, in another way. "" is
// the rule.
func differs(m *httpka.Message, r reading) string {
	switch {
	case m.Framing == httpka.BodyTunnel || m.Method == "CONNECT":
		return "it leaves tunnels to its callers"
	case m.FromServer && m.Version == "HTTP/1.0" && m.Framing == httpka.BodyUntilClose && r.response.Header.Get("Content-Length") != "":
		return "it ignores Transfer-Encoding in HTTP/1.0 (golang.org/issue/12785), RFC 9112 section 6.1 distrusts it"
	}
	return ""
}

// FuzzAgainstNetHTTP compares with net/http's readers every message that both
// accept, until one of them refuses.
func FuzzAgainstNetHTTP(f *testing.F) {
	for _, tt := range conversations {
		var streams [2]string
		for i, step := range tt.talk {
			if rest := step[1:]; rest != "FIN" && !strings.HasPrefix(rest, "GAP") {
				if tt.talk.fromServer(i) {
					streams[1] += rest
				} else {
					streams[0] += rest
				}
			}
		}
		if len(streams[0]) < 1000 {
			f.Add([]byte(streams[0]), []byte(streams[1]), uint64(1))
		}
	}
	f.Fuzz(func(t *testing.T, client, server []byte, seed uint64) {
		s := talk{">" + string(client), "<" + string(server), "<FIN"}
		var ours [2][]httpka.Finding
		for _, found := range s.run(new(httpka.Conversation), splitter(seed)) {
			side := 0
			if found.Message.FromServer {
				side = 1
			}
			if found.Stage == httpka.MessageComplete {
				ours[side] = append(ours[side], found)
			}
		}
		theirs := readStandard(t, client, nil)
		agreed := 0
		for i := range min(len(ours[0]), len(theirs)) {
			m, r := &ours[0][i].Message, theirs[i].request
			if differs(m, theirs[i]) != "" {
				break
			}
			agreed++
			if m.Method != r.Method || m.Target != r.RequestURI || m.Version != r.Proto || m.Body != theirs[i].body {
				t.Fatalf("request %d: %+v\nnet/http: %+v, body %d", i, m, r, theirs[i].body)
			}
			checkFields(t, m, r.Header)
		}
		// Where requests are read differently, so are the responses to them.
		if agreed != len(ours[0]) || agreed != len(theirs) {
			return
		}
		methods := []string{}
		for _, r := range theirs {
			methods = append(methods, r.request.Method)
		}
		responses := readStandard(t, server, methods)
		for i := range min(len(ours[1]), len(responses)) {
			m, r := &ours[1][i].Message, responses[i].response
			if differs(m, responses[i]) != "" {
				return
			}
			if m.Status != r.StatusCode || m.Version != r.Proto || m.Body != responses[i].body {
				t.Fatalf("response %d: %+v\nnet/http: %+v, body %d", i, m, r, responses[i].body)
			}
			checkFields(t, m, r.Header)
			checkReuse(t, ours[1][i].Reuse, m, r, theirs)
		}
	})
}

func checkFields(t *testing.T, m *httpka.Message, h http.Header) {
	t.Helper()
	// Where a response says close, net/http takes the header away.
	if c := strings.Join(h["Connection"], ", "); (c != "" || !m.FromServer) && squeeze(c) != squeeze(m.Connection) {
		t.Fatalf("Connection %q, net/http %q", m.Connection, c)
	}
	if k := strings.Join(h["Keep-Alive"], ", "); squeeze(k) != squeeze(m.KeepAlive) {
		t.Fatalf("Keep-Alive %q, net/http %q", m.KeepAlive, k)
	}
}

// squeeze takes away what folded lines may leave: RFC 9112 section 5.2 has
// one or more spaces instead of the fold.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// checkReuse compares with what net/http calls Close, of either side.
func checkReuse(t *testing.T, got httpka.Reuse, m *httpka.Message, r *http.Response, requests []reading) {
	t.Helper()
	if m.Interim() || m.Nth > len(requests) { // the request is not complete
		return
	}
	closes := r.Close || m.Nth > 0 && requests[m.Nth-1].request.Close
	switch got.Why {
	case httpka.WhyClose, httpka.WhyOldVersion, httpka.WhyUntilClose:
		if !closes {
			t.Fatalf("%v, and net/http would keep %+v", got, r)
		}
	case httpka.WhyFraming:
		// It accepts Content-Length beside Transfer-Encoding, and forgets it.
	case httpka.WhyPersistent,
		// What else the connection has carried is not its readers' business.
		httpka.WhyUnsolicited, httpka.WhyNotHTTP, httpka.WhyUnpaired, httpka.WhyUnfinished:
		if closes {
			t.Fatalf("%v, and net/http closes after %+v", got, r)
		}
	default:
		t.Fatalf("%v after %+v", got, r)
	}
}
