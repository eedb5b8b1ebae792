package httpka_test

import (
	"fmt"

	"kax/httpka"
)

// Two requests are sent at once. The second response ends the connection.
func ExampleConversation() {
	c := httpka.Conversation{OnFinding: func(f *httpka.Finding) {
		m := f.Message
		switch {
		case f.Err != nil:
			fmt.Println("broken:", f.Err)
		case f.Stage == httpka.HeadComplete && !m.FromServer:
			fmt.Printf("request %d: %s %s\n", m.Nth, m.Method, m.Target)
		case f.Stage == httpka.MessageComplete && m.FromServer:
			fmt.Printf("response %d: %d, body %d (%v), bytes %d to %d\n", m.Nth, m.Status, m.Body, m.Framing, m.Start, m.End)
			fmt.Println("  reuse?", f.Reuse)
		}
	}}
	const client, server = false, true
	c.Feed(client, []byte("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTT"))
	c.Feed(client, []byte("P/1.1\r\nHost: x\r\n\r\n"))
	c.Feed(server, []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"))
	c.Feed(server, []byte("loHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbye"))
	c.Close(server)
	// Output:
	// request 1: GET /a
	// request 2: GET /b
	// response 1: 200, body 5 (length), bytes 0 to 43
	//   reuse? yes, by both: persistent
	// response 2: 200, body 3 (until close), bytes 43 to 84
	//   reuse? no, by server: Connection: close
}

// A connection is joined midway, as a capture does that begins late. The body
// that is under way is passed over, up to a piece that begins a message.
func ExampleConversation_Gap() {
	c := httpka.Conversation{OnFinding: func(f *httpka.Finding) {
		switch m := f.Message; {
		case f.Err != nil:
			fmt.Println("from server:", m.FromServer, f.Err)
		case f.Stage == httpka.MessageComplete && m.FromServer:
			fmt.Printf("response %d: %d, reuse? %v\n", m.Nth, m.Status, f.Reuse)
		}
	}}
	const client, server = false, true
	c.Gap(client, -1)
	c.Gap(server, -1)
	c.Feed(server, []byte("the rest of a body"))
	c.Feed(server, []byte("HTTP/1.1 204 No Content\r\n\r\n")) // its request was not seen
	c.Feed(client, []byte("GET /b HTTP/1.1\r\nHost: x\r\n\r\n"))
	c.Feed(server, []byte("HTTP/1.1 204 No Content\r\n\r\n"))
	// Output:
	// from server: false bytes are missing
	// from server: true bytes are missing
	// response 0: 204, reuse? unknown: the request was not seen
	// response 1: 204, reuse? yes, by both: persistent
}
