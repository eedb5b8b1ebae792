package httpka

// A Message is a request or a response, as far as it has come.
type Message struct {
	FromServer bool

	// Nth is the number of the request on this connection, from 1 for the
	// first that was found. A response has the number of its request. 0 is a
	// response whose request is not known, or does not exist.
	Nth int

	Method, Target string // of a request, and of the one a response answers where that is known
	Version        string // "HTTP/1.1", "HTTP/1.0"
	Status         int    // of a response, 100 to 999
	Phrase         string // after the status; may be empty

	// The fields as sent, several of one name joined by ", ".
	Connection string
	KeepAlive  string

	Framing Framing
	Length  int64 // of the body as announced, for BodyLength; otherwise -1
	Body    int64 // bytes of the body so far, without those of the chunked coding

	// Offsets in what the direction has carried: of the first byte of the
	// head, of the first one after it, and of the first one after the
	// message. The last two are 0 until they are known. After a gap of unknown
	// length they count without it.
	Start, HeadEnd, End int64
}

// Interim reports that m is a 1xx response, which another will follow. 101 is
// none of them: it is the last response in HTTP/1.
func (m *Message) Interim() bool { return m.Status >= 100 && m.Status < 200 && m.Status != 101 }

// Stage says how far a message has come.
type Stage uint8

// The stages of a message: always its head first, then one of the others. A
// message whose head is not complete may be broken too.
const (
	HeadComplete    Stage = iota
	MessageComplete       // all of it has come
	MessageBroken         // nothing more of it can be read, or of a message yet to come
)

func (s Stage) String() string {
	switch s {
	case HeadComplete:
		return "head"
	case MessageComplete:
		return "complete"
	case MessageBroken:
		return "broken"
	}
	return "unknown"
}

// A Finding is what a [Conversation] has found.
type Finding struct {
	Stage   Stage
	Message Message

	// Reuse is the verdict on the connection after a final response. With
	// HeadComplete it is what will hold if the message comes to its end. It is
	// the zero Reuse, unknown, for requests and interim responses.
	Reuse Reuse

	// Err says why a message is broken. Nothing more is found in its
	// direction then; only after a gap a piece may begin with a start-line,
	// and finding goes on there.
	Err error
}
