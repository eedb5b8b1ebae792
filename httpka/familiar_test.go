package httpka_test

import (
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
