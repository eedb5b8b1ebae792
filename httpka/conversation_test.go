package httpka_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kax/httpka"
)

// A step of a conversation: bytes of the client ('>') or the server ('<'),
// a gap of as many ('-'), or a close ('.'), by what follows the sign.
type talk []string

func (s talk) fromServer(i int) bool { return s[i][0] == '<' }

// run feeds s, in pieces of at most the length that cut says, and returns what
// was found.
func (s talk) run(c *httpka.Conversation, cut func() int) (found []httpka.Finding) {
	c.OnFinding = func(f *httpka.Finding) { found = append(found, *f) }
	for i, step := range s {
		from, rest := s.fromServer(i), step[1:]
		var gap int64
		switch {
		case rest == "FIN":
			c.Close(from)
		case len(rest) > 3 && rest[:3] == "GAP":
			if _, err := fmt.Sscan(rest[3:], &gap); err != nil {
				panic(err)
			}
			c.Gap(from, gap)
		default:
			b := []byte(rest)
			for len(b) > 0 {
				piece := slices.Clone(b[:min(len(b), cut())])
				c.Feed(from, piece)
				b = b[len(piece):]
				clear(piece) // nothing of it may be kept
			}
		}
	}
	return found
}

func whole() int { return 1 << 30 }

// String of a finding, as the tables have it.
func short(f httpka.Finding) string {
	m, b := f.Message, new(strings.Builder)
	switch {
	case f.Stage == httpka.MessageBroken && m.HeadEnd == 0:
		fmt.Fprintf(b, "%t broken", m.FromServer)
	case m.FromServer:
		fmt.Fprintf(b, "%d=%d", m.Status, m.Nth)
	default:
		fmt.Fprintf(b, "%s %s=%d", m.Method, m.Target, m.Nth)
	}
	switch {
	case f.Stage == httpka.HeadComplete:
		fmt.Fprintf(b, " %v", m.Framing)
		if m.Length >= 0 {
			fmt.Fprintf(b, " %d", m.Length)
		}
		return b.String()
	case f.Err != nil:
		fmt.Fprintf(b, ": %v", f.Err)
	default:
		fmt.Fprintf(b, " end %d", m.Body)
	}
	if f.Reuse != (httpka.Reuse{}) {
		fmt.Fprintf(b, "; %v", f.Reuse)
	}
	return b.String()
}

const (
	simple = ">GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	ok     = "<HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	yes    = "; yes, by both: persistent"
	asks   = "GET /=1 none|GET /=1 end 0|"
)

var conversations = []struct {
	name string // with sections of RFC 9112 where no other is named
	talk talk
	want string
}{
	// Section 9.3: who may reuse, and why.
	{"9.3 persists", talk{simple, ok, simple, ok}, asks + "200=1 length 2|200=1 end 2" + yes + "|GET /=2 none|GET /=2 end 0|200=2 length 2|200=2 end 2" + yes},
	{"9.3 client close", talk{">GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", ok}, asks + "200=1 length 2|200=1 end 2; no, by client: Connection: close"},
	{"9.3 server close", talk{simple, "<HTTP/1.1 204 No Content\r\nConnection: foo , close\r\n\r\n"}, asks + "204=1 none|204=1 end 0; no, by server: Connection: close"},
	{"9.3 both close", talk{">GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "<HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nconnection: close\r\n\r\n"}, asks + "204=1 none|204=1 end 0; no, by both: Connection: close"},
	{"9.3 closed is another word", talk{simple, "<HTTP/1.1 204 No Content\r\nConnection: closed\r\n\r\n"}, asks + "204=1 none|204=1 end 0" + yes},
	{"9.3 old client", talk{">GET / HTTP/1.0\r\n\r\n", ok}, asks + "200=1 length 2|200=1 end 2; no, by client: HTTP/1.0 without keep-alive"},
	{"9.3 old server", talk{simple, "<HTTP/1.0 204 No Content\r\n\r\n"}, asks + "204=1 none|204=1 end 0; no, by server: HTTP/1.0 without keep-alive"},
	{"9.3 old both", talk{">GET / HTTP/1.0\r\n\r\n", "<HTTP/1.0 204 No Content\r\n\r\n"}, asks + "204=1 none|204=1 end 0; no, by both: HTTP/1.0 without keep-alive"},
	{"9.3 old with keep-alive", talk{">GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "<HTTP/1.0 204 No Content\r\nConnection: keep-alive\r\n\r\n"}, asks + "204=1 none|204=1 end 0" + yes},
	{"9.3 newer than 1.1", talk{">GET / HTTP/1.7\r\n\r\n", ok}, asks + "200=1 length 2|200=1 end 2" + yes},
	{"9.3 request unfinished", talk{">POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", ok}, "POST /=1 length 9|200=1 length 2|200=1 end 2; unknown, by client: the request is not complete"},
	{"9.2 unsolicited", talk{"<HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"}, "408=0 length 0|408=0 end 0; no, by server: a response without a request"},
	{"9.2 one response too many", talk{simple, ok, ok}, asks + "200=1 length 2|200=1 end 2" + yes + "|200=0 length 2|200=0 end 2; no, by server: a response without a request"},
	{"9.2 one response too many, in a request", talk{">POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", ok, ok}, "POST /=1 length 9|200=1 length 2|200=1 end 2; unknown, by client: the request is not complete|200=0 length 2|200=0 end 2; no, by server: a response without a request"},
	{"answered before its head was complete", talk{">GET / HT", "<HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"}, "408=0 length 0|408=0 end 0; unknown: the request was not seen"},
	{"9.5 client closed", talk{simple, ">FIN", ok}, asks + "200=1 length 2|200=1 end 2; no, by client: the client has closed"},
	{"9.2 pipelined", talk{simple + simple[1:] + ">"[1:], ok + ok[1:]}, "GET /=1 none|GET /=1 end 0|GET /=2 none|GET /=2 end 0|200=1 length 2|200=1 end 2" + yes + "|200=2 length 2|200=2 end 2" + yes},

	// Section 6.3: where a message ends.
	{"6.3.1 HEAD", talk{">HEAD / HTTP/1.1\r\n\r\n", "<HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"}, "HEAD /=1 none|HEAD /=1 end 0|200=1 none|200=1 end 0" + yes},
	{"6.3.1 304", talk{simple, "<HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"}, asks + "304=1 none|304=1 end 0" + yes},
	{"6.3.1 interim", talk{simple, "<HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", ok}, asks + "100=1 none|100=1 end 0|103=1 none|103=1 end 0|200=1 length 2|200=1 end 2" + yes},
	{"6.3.2 CONNECT", talk{">CONNECT a:1 HTTP/1.1\r\n\r\n", "<HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\x16\x03", ">\x16\x03"}, "CONNECT a:1=1 none|CONNECT a:1=1 end 0|200=1 tunnel|200=1 end 0; no, by both: a tunnel"},
	{"6.3.2 CONNECT, bytes too early", talk{">CONNECT a:1 HTTP/1.1\r\n\r\n\x16\x03", "<HTTP/1.1 200 OK\r\n\r\n", ">\x16\x03"}, "CONNECT a:1=1 none|CONNECT a:1=1 end 0|200=1 tunnel|200=1 end 0; no, by both: a tunnel"},
	{"6.3.2 CONNECT refused", talk{">CONNECT a:1 HTTP/1.1\r\n\r\n" + simple[1:], "<HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", ok}, "CONNECT a:1=1 none|CONNECT a:1=1 end 0|407=1 length 0|407=1 end 0" + yes + "|GET /=2 none|GET /=2 end 0|200=2 length 2|200=2 end 2" + yes},
	{"RFC 9110 7.8 upgrade", talk{">GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "<HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x00", ">\x81\x00"}, asks + "101=1 tunnel|101=1 end 0; no, by both: another protocol"},
	{"RFC 9110 7.8 upgrade ignored", talk{">GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + simple[1:], ok, ok}, asks + "200=1 length 2|GET /=2 none|GET /=2 end 0|200=1 end 2" + yes + "|200=2 length 2|200=2 end 2" + yes},
	{"RFC 9110 7.8 upgrade not named", talk{">GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n" + simple[1:], ok}, asks + "GET /=2 none|GET /=2 end 0|200=1 length 2|200=1 end 2" + yes},
	{"6.3.2 CONNECT refused, then cut", talk{">CONNECT a:1 HTTP/1.1\r\n\r\nGET", ">FIN", "<HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"}, "CONNECT a:1=1 none|CONNECT a:1=1 end 0|407=1 length 0|407=1 end 0; no, by client: the client has closed|false broken: closed inside a message"},
	{"6.3.2 CONNECT refused early", talk{">CONNECT a:1 HTTP/1.1\r\nContent-Length: 2\r\n\r\na", "<HTTP/1.1 407 No\r\nContent-Length: 5\r\n\r\n", ">b" + simple[1:], "<abcde"}, "CONNECT a:1=1 length 2|407=1 length 5|CONNECT a:1=1 end 2|GET /=2 none|GET /=2 end 0|407=1 end 5" + yes},
	{"RFC 9110 7.8 upgrade before the request's end", talk{">GET / HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\na", "<HTTP/1.1 101 Switching Protocols\r\n\r\n", ">b\x81\x00"}, "GET /=1 length 2|101=1 tunnel|101=1 end 0; no, by both: another protocol|GET /=1 end 2"},
	{"RFC 9110 7.8 upgrade in HTTP/1.0", talk{">GET / HTTP/1.0\r\nUpgrade: x\r\nConnection: upgrade, keep-alive\r\n\r\n" + simple[1:]}, asks + "GET /=2 none|GET /=2 end 0"},
	{"6.3.3 both", talk{simple, "<HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"}, asks + "200=1 chunked|200=1 end 2; no, by server: the end of a message cannot be trusted"},
	{"6.1 both, in a request", talk{">GET / HTTP/1.1\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ok}, "GET /=1 chunked|GET /=1 end 0|200=1 length 2|200=1 end 2; no, by client: the end of a message cannot be trusted"},
	{"6.1 coding in HTTP/1.0", talk{">GET / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ok}, "GET /=1 unknown|GET /=1: no end of the message: Transfer-Encoding|200=1 length 2|200=1 end 2; no, by client: the end of a message cannot be trusted"},
	{"6.3.4 chunked", talk{simple, "<HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip , CHUNKED\r\n\r\n5;a=\"b\"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nTrailer: x\n\r\n", simple, ok}, asks + "200=1 chunked|200=1 end 15" + yes + "|GET /=2 none|GET /=2 end 0|200=2 length 2|200=2 end 2" + yes},
	{"6.3.4 chunked is not last", talk{simple, "<HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx", "<FIN"}, asks + "200=1 until close|200=1 end 2; no, by server: the body ends with the connection"},
	{"6.3.4 chunked is not last, in a request", talk{">POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"}, "POST /=1 unknown|POST /=1: no end of the message: Transfer-Encoding"},
	{"6.1 coding in HTTP/1.0, in a response", talk{simple, "<HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: gzip\r\n\r\nx", "<FIN"}, asks + "200=1 until close|200=1 end 1; no, by server: the end of a message cannot be trusted"},
	{"6.3.4 chunked is not last, in a response", talk{simple, "<HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nx", "<FIN"}, asks + "200=1 until close|200=1 end 1; no, by server: the end of a message cannot be trusted"},
	{"7 coding with an open quote", talk{">POST / HTTP/1.1\r\nTransfer-Encoding: x;a=\", chunked\r\n\r\n"}, "POST /=1 unknown|POST /=1: no end of the message: Transfer-Encoding"},
	{"5.2 folded coding", talk{">POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\t\r\n\r\n"}, "POST /=1 unknown|POST /=1: no end of the message: Transfer-Encoding"},
	{"6.1 chunked twice", talk{">POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"}, "POST /=1 unknown|POST /=1: no end of the message: Transfer-Encoding"},
	{"6.3.5 lengths differ", talk{simple, "<HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"}, asks + "200=1 unknown|200=1: no end of the message: Content-Length; no, by server: the end of a message cannot be trusted"},
	{"6.3.5 lengths are equal", talk{simple, "<HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nok"}, asks + "200=1 length 2|200=1 end 2" + yes},
	{"6.3.5 no number", talk{">POST / HTTP/1.1\r\nContent-Length: +2\r\n\r\nok"}, "POST /=1 unknown|POST /=1: no end of the message: Content-Length"},
	{"6.3.5 number too large", talk{">POST / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\nok"}, "POST /=1 unknown|POST /=1: no end of the message: Content-Length"},
	{"6.3.5 folded number", talk{">POST / HTTP/1.1\r\nContent-Length: 2\r\n 3\r\n\r\nok"}, "POST /=1 unknown|POST /=1: no end of the message: Content-Length"},
	{"6.3.8 until close", talk{simple, "<HTTP/1.1 200 OK\r\n\r\nbytes", "<FIN"}, asks + "200=1 until close|200=1 end 5; no, by server: the body ends with the connection"},

	// Section 7.1: chunks.
	{"7.1 bare LF after the size", talk{">POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\nok"}, "POST /=1 chunked|POST /=1: no end of the message: size of a chunk"},
	{"7.1 size too large", talk{">POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\n"}, "POST /=1 chunked|POST /=1: no end of the message: size of a chunk"},
	{"7.1 sizes too large", talk{">POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffff00\r\n", ">GAP 9223372036854775552", ">\r\n100\r\n"}, "POST /=1 chunked|POST /=1: no end of the message: size of a chunk"},
	{"7.1 many chunks", talk{">POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;xxxx\r\na\r\n", 1000) + "0\r\n\r\n"}, "POST /=1 chunked|POST /=1 end 1000"},
	{"7.1.2 bare CR", talk{">POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\rA"}, "POST /=1 chunked|POST /=1: no end of the message: trailer section"},
	{"7.1 no size", talk{">POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n"}, "POST /=1 chunked|POST /=1: no end of the message: no size of a chunk"},
	{"7.1 size with a sign", talk{">POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\n"}, "POST /=1 chunked|POST /=1: no end of the message: size of a chunk"},
	{"7.1 data too long", talk{">POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n"}, "POST /=1 chunked|POST /=1: no end of the message: end of a chunk"},
	{"7.1.1 long extension", talk{">POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("x", 5000)}, "POST /=1 chunked|POST /=1: no end of the message: long line before a chunk"},
	{"7.1.2 long trailers", talk{">POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: " + strings.Repeat("x", 1<<16)}, "POST /=1 chunked|POST /=1: head of more than 64 KiB"},

	// Section 2.2 and 5: heads.
	{"2.2 bare LF", talk{">GET / HTTP/1.1\nConnection: close\n\n"}, asks},
	{"2.2 empty lines first", talk{">\r\n\n\r\n" + simple[1:] + "\r\n"}, asks},
	{"2.2 bare CR", talk{">GET / HTTP/1.1\r\nA: b\rc\r\n\r\n"}, "false broken: malformed head: CR or NUL in a field"},
	{"2.2 space before the first field", talk{">GET / HTTP/1.1\r\n A: b\r\n\r\n"}, "false broken: malformed head: space before the first field"},
	{"5.1 space before the colon", talk{">GET / HTTP/1.1\r\nA : b\r\n\r\n"}, "false broken: malformed head: a line that is no field"},
	{"5.1 space before the colon of a response", talk{">GET / HTTP/1.1\r\n\r\n", "<HTTP/1.1 200 OK\r\nA : b\r\nConnection\t: close\r\nContent-Length: 0\r\n\r\n"}, "GET /=1 none|GET /=1 end 0|200=1 length 0|200=1 end 0; no, by server: Connection: close"},
	{"5.1 space before the colon of a length", talk{">GET / HTTP/1.1\r\n\r\n", "<HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"}, "GET /=1 none|GET /=1 end 0|true broken: malformed head: a line that is no field"},
	{"5 no colon", talk{">GET / HTTP/1.1\r\nAb\r\n\r\n"}, "false broken: malformed head: a line that is no field"},
	{"5 no name", talk{">GET / HTTP/1.1\r\n: b\r\n\r\n"}, "false broken: malformed head: a line that is no field"},
	{"5.2 folded", talk{simple, "<HTTP/1.1 204 x\r\nConnection: foo,\r\n\tclose\r\n\r\n"}, asks + "204=1 none|204=1 end 0; no, by server: Connection: close"},
	{"head broken, and answered", talk{">GET / HTTP/1.1\r\nA : b\r\n\r\n", "<HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"}, "false broken: malformed head: a line that is no field|400=0 length 0|400=0 end 0; no, by client: bytes that are no message"},
	{"3 no version", talk{">GET /\r\n"}, "false broken: not HTTP/1: no request line"},
	{"3 two spaces", talk{">GET  / HTTP/1.1\r\n"}, "false broken: not HTTP/1: no request line"},
	{"4 no phrase", talk{simple, "<HTTP/1.1 204\r\n\r\n"}, asks + "204=1 none|204=1 end 0" + yes},
	{"3.2 control in the target", talk{">GET /\x7f HTTP/1.1\r\n"}, "false broken: not HTTP/1: no request line"},
	{"RFC 9110 15 status below 100", talk{simple, "<HTTP/1.1 099 x\r\n"}, asks + "true broken: malformed head: no status"},
	{"4 no status", talk{simple, "<HTTP/1.1 2000\r\n\r\n"}, asks + "true broken: malformed head: no status"},
	{"RFC 9113 3.4 preface", talk{">PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}, "false broken: not HTTP/1: HTTP/2"},
	{"HTTP/2 response", talk{simple, "<HTTP/2 200\r\n\r\n"}, asks + "true broken: not HTTP/1: no version of it"},
	{"RFC 9113 3.4 settings", talk{simple, "<\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03"}, asks + "true broken: not HTTP/1: HTTP/2"},
	{"another frame", talk{simple, "<\x00\x00\x12\x04\x00\x00\x00\x00\x01"}, asks + "true broken: not HTTP/1"},
	{"TLS", talk{">\x16\x03\x01\x02", "<\x16\x03\x03"}, "false broken: not HTTP/1: TLS|true broken: not HTTP/1: TLS"},
	{"not quite TLS", talk{">\x16\x04"}, "false broken: not HTTP/1"},
	{"SSH", talk{"<SSH-2.0-x\r\n", ">SSH-2.0-y\r\n"}, "true broken: not HTTP/1|false broken: not HTTP/1"},
	{"binary", talk{">\x00\x01"}, "false broken: not HTTP/1"},
	{"a head of 64 KiB", talk{">GET / HTTP/1.1\r\nA: " + strings.Repeat("x", 1<<16-23) + "\r\n\r\n"}, asks},
	{"a head of one byte more", talk{">GET / HTTP/1.1\r\nA: " + strings.Repeat("x", 1<<16-22) + "\r\n\r\n"}, "false broken: head of more than 64 KiB"},

	// Section 8: incomplete messages.
	{"8 cut head", talk{simple, "<HTTP/1.1 200", "<FIN"}, asks + "true broken: closed inside a message"},
	{"8 cut body", talk{simple, "<HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "<FIN"}, asks + "200=1 length 5|200=1: closed inside a message; no, by server: closed inside the message"},
	{"8 cut chunks", talk{simple, "<HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "<FIN"}, asks + "200=1 chunked|200=1: closed inside a message; no, by server: closed inside the message"},
	{"nothing cut", talk{simple, ok, ">FIN", "<FIN"}, asks + "200=1 length 2|200=1 end 2" + yes},

	// Gaps.
	{"gap in a body", talk{simple, "<HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "<GAP 6", simple, ok}, asks + "200=1 length 9|200=1 end 9" + yes + "|GET /=2 none|GET /=2 end 0|200=2 length 2|200=2 end 2" + yes},
	{"gap in a chunk", talk{simple, "<HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", "<GAP 6", "<\r\n0\r\n\r\n"}, asks + "200=1 chunked|200=1 end 9" + yes},
	{"gap beyond a body", talk{simple, "<HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "<GAP 7", "<rest", simple, ok}, asks + "200=1 length 9|200=1: bytes are missing; unknown: bytes are missing|GET /=2 none|GET /=2 end 0|200=2 length 2|200=2 end 2" + yes},
	{"gap until close", talk{simple, "<HTTP/1.1 200 OK\r\n\r\nabc", "<GAP 7", "<FIN"}, asks + "200=1 until close|200=1 end 10; no, by server: the body ends with the connection"},
	{"gap between requests", talk{simple, ">GAP 5", ok, ok}, asks + "false broken: bytes are missing|200=1 length 2|200=1 end 2" + yes + "|200=0 length 2|200=0 end 2; unknown: the request was not seen"},
	{"gap between requests, one waiting", talk{simple, ">GAP 5", simple, ok, ok}, asks + "false broken: bytes are missing|GET /=2 none|GET /=2 end 0|200=1 length 2|200=1 end 2" + yes + "|200=0 length 2|200=0 end 2; unknown: the request was not seen"},
	{"gap in a response that says close", talk{simple, "<HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nabc", "<GAP 7"}, asks + "200=1 length 9|200=1: bytes are missing; no, by server: Connection: close"},
	{"joined midway", talk{">GAP -1", "<GAP -1", "<some body", "<HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", simple, ok}, "false broken: bytes are missing|true broken: bytes are missing|200=0 length 2|200=0 end 2; unknown: the request was not seen|" + asks + "200=1 length 2|200=1 end 2" + yes},
	{"joined midway, in a pipeline", talk{">GAP -1", "<GAP -1", "<HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", simple, "<k", ok}, "false broken: bytes are missing|true broken: bytes are missing|200=0 length 2|" + asks + "200=0 end 2; unknown: the request was not seen|200=0 length 2|200=0 end 2; unknown: the request was not seen"},
	{"joined midway, in a body that looks like a head", talk{">GAP -1", "<GAP -1", "<HTTP/1.1 200 OK\r\nsaid the server\r\n", ok}, "false broken: bytes are missing|true broken: bytes are missing|200=0 length 2|200=0 end 2; unknown: the request was not seen"},
	{"joined midway, in a body that looks like a head until later", talk{">GAP -1", "<GAP -1", "<HTTP/1.1 200 OK\r\nServer: x\r\n", "<said the server\r\n\r\n" + ok[1:], ok}, "false broken: bytes are missing|true broken: bytes are missing|200=0 length 2|200=0 end 2; unknown: the request was not seen"},
	{"joined midway, in a body that looks like a start-line", talk{">GAP -1", ">GET / HTTP/1.1 was asked\r\n", simple}, "false broken: bytes are missing|GET /=1 none|GET /=1 end 0"},
	{"gap behind a CONNECT", talk{">CONNECT a:1 HTTP/1.1\r\n\r\n", "<GAP 9", ">x"}, "CONNECT a:1=1 none|CONNECT a:1=1 end 0|true broken: bytes are missing|false broken: bytes are missing"},
}

func TestConversation(t *testing.T) {
	for _, tt := range conversations {
		t.Run(tt.name, func(t *testing.T) {
			found := tt.talk.run(new(httpka.Conversation), whole)
			var got []string
			for _, f := range found {
				got = append(got, short(f))
			}
			if text := strings.Join(got, "|"); text != strings.TrimSuffix(tt.want, "|") {
				t.Errorf("got  %s\nwant %s", text, tt.want)
			}
			if strings.Contains(tt.want, "bytes are missing") {
				return // where pieces begin matters after a gap
			}
			for _, n := range []int{1, 2, 3, 7} {
				if cut := tt.talk.run(new(httpka.Conversation), func() int { return n }); !same(cut, found) {
					t.Errorf("in pieces of %d: %v\nwhole: %v", n, cut, found)
				}
			}
		})
	}
}

// same compares findings. Errors are the same by their text.
func same(a, b []httpka.Finding) bool {
	return slices.EqualFunc(a, b, func(a, b httpka.Finding) bool {
		sameErr := fmt.Sprint(a.Err) == fmt.Sprint(b.Err)
		a.Err, b.Err = nil, nil
		return sameErr && a == b
	})
}

func TestMessageFields(t *testing.T) {
	s := talk{
		">\r\nPOST /a?b HTTP/1.0\r\nConnection: keep-alive\r\nCONNECTION:\tfoo \r\nKeep-Alive: 5\r\ncontent-length: 3\r\n\r\nabc",
		"<HTTP/1.1 299 All is well\r\nKeep-Alive: timeout=5,\r\n max=9\r\nConnection:\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
	}
	found := s.run(new(httpka.Conversation), whole)
	if len(found) != 4 {
		t.Fatalf("%d findings: %v", len(found), found)
	}
	request := httpka.Message{
		Nth: 1, Method: "POST", Target: "/a?b", Version: "HTTP/1.0", Connection: "keep-alive, foo", KeepAlive: "5",
		Framing: httpka.BodyLength, Length: 3, Start: 2, HeadEnd: int64(len(s[0]) - 4),
	}
	response := httpka.Message{
		FromServer: true, Nth: 1, Method: "POST", Target: "/a?b", Version: "HTTP/1.1", Status: 299, Phrase: "All is well",
		KeepAlive: "timeout=5, max=9", Framing: httpka.BodyChunked, Length: -1, HeadEnd: int64(len(s[1]) - 12),
	}
	for i, want := range []*httpka.Message{&request, &request, &response, &response} {
		if i%2 == 1 {
			want.End, want.Body = int64(len(s[i/2])-1), 3-2*int64(i/2)
		}
		if found[i].Message != *want {
			t.Errorf("%d: got  %+v\nwant %+v", i, found[i].Message, *want)
		}
	}
}

// What was said of one connection has no part in the next.
func TestConversationReset(t *testing.T) {
	c := new(httpka.Conversation)
	for _, before := range []talk{
		{simple, ">GET", "<HTTP/1.1 200 OK\r\n"},
		{">\x16\x03", "<\x00\x01"},
		{">GAP -1", "<GAP -1"},
		{">CONNECT a:1 HTTP/1.1\r\n\r\nheld"},
		{">CONNECT a:1 HTTP/1.1\r\n\r\n", "<HTTP/1.1 200 OK\r\n\r\n"},
		{simple, "<HTTP/1.1 200 OK\r\n\r\n", ">FIN", "<FIN"},
	} {
		for _, tt := range conversations {
			var fresh httpka.Conversation
			want := tt.talk.run(&fresh, whole)
			c.Reset()
			before.run(c, whole)
			c.Reset()
			if got := tt.talk.run(c, whole); !same(got, want) || c.Unanswered() != fresh.Unanswered() {
				t.Errorf("%s, after %q: %v, %d unanswered\nwant %v, %d", tt.name, before, got, c.Unanswered(), want, fresh.Unanswered())
			}
		}
	}
}

func TestPipelineIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name, request string
		want          int
	}{
		{"requests", simple[1:], 1000},
		{"targets", "GET /" + strings.Repeat("x", 60_000) + " HTTP/1.1\r\n\r\n", 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c httpka.Conversation
			var last error
			c.OnFinding = func(f *httpka.Finding) { last = f.Err }
			for range tt.want {
				c.Feed(false, []byte(tt.request))
			}
			if last != nil || c.Unanswered() != tt.want {
				t.Fatalf("%d unanswered, error %v", c.Unanswered(), last)
			}
			c.Feed(false, []byte(tt.request))
			if !errors.Is(last, httpka.ErrPipelined) {
				t.Fatalf("error %v", last)
			}
			var reuse httpka.Reuse
			c.OnFinding = func(f *httpka.Finding) { reuse = f.Reuse }
			c.Feed(true, []byte(ok[1:]))
			if reuse.May != httpka.ReuseYes || c.Unanswered() != tt.want-1 {
				t.Errorf("%v, %d unanswered", reuse, c.Unanswered())
			}
		})
	}
	t.Run("answered", func(t *testing.T) {
		c := httpka.Conversation{OnFinding: func(f *httpka.Finding) {
			if f.Err != nil {
				t.Error(f.Err)
			}
		}}
		for range 10 {
			c.Feed(false, []byte("GET /"+strings.Repeat("x", 60_000)+" HTTP/1.1\r\n\r\n"))
			c.Feed(true, []byte(ok[1:]))
		}
	})
	t.Run("held", func(t *testing.T) {
		var last error
		c := httpka.Conversation{OnFinding: func(f *httpka.Finding) { last = f.Err }}
		c.Feed(false, []byte("CONNECT a:1 HTTP/1.1\r\n\r\n"))
		c.Feed(false, make([]byte, 64<<10))
		if last != nil {
			t.Fatal(last)
		}
		if c.Feed(false, []byte("x")); !errors.Is(last, httpka.ErrPipelined) {
			t.Errorf("error %v", last)
		}
	})
}

func TestUnanswered(t *testing.T) {
	s := talk{simple + simple[1:] + simple[1:], ok, "<HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "<FIN"}
	var c httpka.Conversation
	s.run(&c, whole)
	if n := c.Unanswered(); n != 2 {
		t.Errorf("%d requests wait", n)
	}
}

// splitter cuts at random, but always the same way.
func splitter(seed uint64) func() int {
	r := rand.New(rand.NewPCG(seed, 0))
	return func() int { return 1 + r.IntN(1+r.IntN(40)) }
}
