package httpka_test

import (
	"fmt"
	"strings"
	"testing"

	"kax/httpka"
)

// Conversations that share what is familiar find what each finds alone.
func TestFamiliar(t *testing.T) {
	var known httpka.Familiar
	for range 2 {
		for _, tt := range conversations {
			got := tt.talk.run(&httpka.Conversation{Familiar: &known}, whole)
			if want := tt.talk.run(new(httpka.Conversation), whole); !same(got, want) {
				t.Errorf("%s:\ngot  %v\nwant %v", tt.name, got, want)
			}
		}
	}
}

// ahead runs a talk whose heads are read before they are fed.
func (s talk) ahead(known *httpka.Familiar) (found []httpka.Finding) {
	c := httpka.Conversation{NoTargets: true, OnFinding: func(f *httpka.Finding) { found = append(found, *f) }}
	for i, step := range s {
		var gap int64
		switch from := s.fromServer(i); {
		case step[1:] == "FIN":
			c.Close(from)
		case strings.HasPrefix(step[1:], "GAP"):
			_, _ = fmt.Sscan(step[4:], &gap)
			c.Gap(from, gap)
		default:
			b, head := []byte(step[1:]), new(httpka.Head)
			if !known.ReadHead(b, head) {
				head = nil
			}
			c.FeedHead(from, b, head)
			clear(b)
		}
	}
	return found
}

// Heads that are read ahead say what they say in their turn.
func TestReadHead(t *testing.T) {
	var known httpka.Familiar
	for _, tt := range conversations {
		got := tt.talk.ahead(&known)
		if want := tt.talk.run(&httpka.Conversation{NoTargets: true}, whole); !same(got, want) {
			t.Errorf("%s:\ngot  %v\nwant %v", tt.name, got, want)
		}
	}
}

// Only a whole and right head is read, and neither that nor other bytes cost an
// allocation.
func TestReadHeadAllocatesNothing(t *testing.T) {
	var known httpka.Familiar
	var head httpka.Head
	for text, want := range map[string]bool{
		eightRequest: true, eightResponse: true,
		"GET / HTTP/1.1\r\nHost: ":       false,
		"text\r\nand\r\n\r\n":            false,
		"\x17\x03\x03\x00\x0a\nHTTP/1.1": false,
		"\n":                             false, "": false, "HTTP/1.1\n": false,
	} {
		b, got := []byte(text), false
		if n := testing.AllocsPerRun(100, func() { got = known.ReadHead(b, &head) }); n != 0 {
			t.Errorf("%q: %v allocations", text, n)
		}
		if got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

// A line is familiar as a whole, and only one that is right whoever sends it.
func TestFamiliarLines(t *testing.T) {
	for name, heads := range map[string][2]string{
		"longer":            {"X-Something: a\r\n", "X-Something: ab\r\n"},
		"shorter":           {"X-Something: ab\r\n", "X-Something: a\r\n"},
		"space in the name": {"X-Something : a\r\n", "X-Something : a\r\n"},
		"CR":                {"X-Something: a\rb\r\n", "X-Something: a\rb\r\n"},
		"NUL":               {"X-Something: a\x00b\r\n", "X-Something: a\x00b\r\n"},
		"bare LF":           {"X-Something: a\n", "X-Something: a\r\n"},
		"folded":            {"X-Something: a\r\n", "X-Something: a\r\n b\r\n"},
		"folded elsewhere":  {"X-Something: a\r\n", "Connection: a\r\nX-Something: a\r\n b\r\n"},
		"behind a bad line": {"X-Something: a\r\n", "bad\r\nX-Something: a\r\n"},
		"behind a space":    {"X-Something: a\r\n", " X-Something: a\r\n"},
		"length":            {"Content-Length: 3\r\n", "Content-Length: 3\r\n"},
	} {
		var known httpka.Familiar
		for _, from := range []string{"<HTTP/1.1 200 OK\r\n", ">GET / HTTP/1.1\r\n"} {
			talk{from + heads[0] + "\r\n"}.run(&httpka.Conversation{Familiar: &known}, whole)
			s := talk{from + heads[1] + "\r\n"}
			got := s.run(&httpka.Conversation{Familiar: &known}, whole)
			if want := s.run(new(httpka.Conversation), whole); !same(got, want) {
				t.Errorf("%s:\ngot  %v\nwant %v", name, got, want)
			}
		}
	}
}
