package httpka

import (
	"strings"
	"testing"
)

func TestReadHead(t *testing.T) {
	for _, test := range []struct {
		name, head string
		want       Event
		ok         bool
	}{
		{"request", "GET /keep HTTP/1.1\r\nHost: a\r\n\r\n", Event{Method: "GET", Target: "/keep", Version: "HTTP/1.1"}, true},
		{"request with a body", "POST / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nabc", Event{Method: "POST", Target: "/", Version: "HTTP/1.0", Connection: "keep-alive"}, true},
		{"response", "HTTP/1.1 200 OK\r\nConnection: close\r\nKeep-Alive: timeout=5, max=9\r\n\r\n", Event{Status: 200, Version: "HTTP/1.1", Connection: "close", KeepAlive: "timeout=5, max=9"}, true},
		{"no reason phrase", "HTTP/1.1 204\r\n\r\n", Event{Status: 204, Version: "HTTP/1.1"}, true},
		{"interim", "HTTP/1.1 100 Continue\r\n\r\n", Event{Status: 100, Version: "HTTP/1.1"}, true},
		{"bare line feeds", "HTTP/1.1 200 OK\nConnection: close\n\n", Event{Status: 200, Version: "HTTP/1.1", Connection: "close"}, true},
		{"names in any case", "HTTP/1.1 200 OK\r\nCONNECTION: Close\r\nkeep-alive: max=1\r\n\r\n", Event{Status: 200, Version: "HTTP/1.1", Connection: "Close", KeepAlive: "max=1"}, true},
		{"one list on two lines", "HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: upgrade\r\n\r\n", Event{Status: 200, Version: "HTTP/1.1", Connection: "close, upgrade"}, true},
		{"empty", "", Event{}, false},
		{"end inside the first line", "GET /", Event{}, false},
		{"end inside the head", "GET / HTTP/1.1\r\nHost: a\r\n", Event{}, false},
		{"no version", "GET /\r\n\r\n", Event{}, false},
		{"empty version", "GET / \r\n\r\n", Event{}, false},
		{"empty method", " / HTTP/1.1\r\n\r\n", Event{}, false},
		{"CR by itself", "GET /\r HTTP/1.1\r\n\r\n", Event{}, false},
		{"no status", "HTTP/1.1\r\n\r\n", Event{}, false},
		{"status in words", "HTTP/1.1 fine\r\n\r\n", Event{}, false},
		{"a line that is no field", "GET / HTTP/1.1\r\nHost\r\n\r\n", Event{}, false},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Event{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			// It is read as what it looks like.
			m := Message{FromServer: strings.HasPrefix(test.head, "HTTP/")}
			var e Event
			n, err := readHead([]byte(test.head), &m)
			if n > 0 {
				e.says(&m)
			}
			if n > 0 != test.ok || e != test.want || err != nil && n > 0 {
				t.Errorf("%d, %v, %+v\nwant %t, %+v", n, err, e, test.ok, test.want)
			}
		})
	}
}
