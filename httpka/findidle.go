package httpka

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// An IdleFinder measures how long a server, or what lies between, leaves an
// idle connection alone. Several connections carry one request each and are
// then silent: some until they end, and beside them a ladder of others that
// send a second request after growing times, since a connection that a NAT or a
// firewall has forgotten looks like any other until it is used.
//
// A server that closes is measured in less than 1.2 times its timeout, a silent
// loss in less than 2.5 times (from 3 seconds on; the answers' time comes on
// top where they are slow).
type IdleFinder struct {
	URL    string
	Header http.Header // added to the requests, or in place of what they have
	TLS    *tls.Config // for https

	Samples int // connections that wait for their end; 0 is 5

	// Enough is how long a connection has to last for no more to be asked of
	// it: those that have are sent a second request, and if that is answered
	// there is no timeout to be found. 0 is GiveUpAfter.
	Enough      time.Duration
	GiveUpAfter time.Duration // the end of all waiting, but for an answer; 0 is 10 minutes

	// Stop, once it is closed, brings the moment of Enough forward to now.
	Stop <-chan struct{}

	// Dial opens a connection. nil is a plain net.Dialer's without TCP
	// keepalive, whose probes would hold a NAT open and spoil what is measured.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	OnProgress func(IdleProgress) // called at every change; may be nil, must not block
}

// IdleEnd is how an idle connection ends.
type IdleEnd string

// The ends.
const (
	IdleFIN    IdleEnd = "fin"    // the server closed it
	IdleRST    IdleEnd = "rst"    // the server, or something that speaks for it, reset it
	IdleSilent IdleEnd = "silent" // it was lost without a word: only a request showed it
	IdleNone   IdleEnd = "none"   // it did not, as far as was waited
)

// An IdleResult is what an [IdleFinder] has found.
type IdleResult struct {
	How IdleEnd

	// Timeout is the median of the samples' times, each from the end of its
	// response to the end of the connection, and Spread how far they lie apart.
	// Of a silent loss it is the middle between the longest time after which a
	// request was answered and the shortest after which none was, and Spread the
	// distance between the two.
	Timeout, Spread time.Duration

	Samples    int // connections that the timeout stands on, or that have lasted
	Unanswered int // of the samples: they did not answer in the end, though others did
	Remaining  int // of the samples: still open when the others had ended
	Failed     int // of the samples: they had no first response, though others had

	// AtLeast is how long every connection has lasted: the shortest of the
	// samples' times, or the longest after which a request was answered.
	AtLeast time.Duration

	Answer    string        // of a silent loss, to the late request: "nothing", "reset" or "closed"
	Announced string        // the first response's header Keep-Alive, as sent
	Status    int           // of the first response
	Server    net.Addr      // that all connections were made to
	Waited    time.Duration // all in all
}

// IdleProgress is how far an [IdleFinder] has come.
type IdleProgress struct {
	Samples  int             // that are open and silent
	Ended    int             // samples that have ended
	Answered []time.Duration // idle times after which a request was answered, growing
	Lost     time.Duration   // the shortest after which none was; 0 is none so far
	Refining int             // connections that look for the time between
}

// ErrNotReusable says that there is no idle timeout: the connection may not
// carry a second request. A [*NotReusableError] has the reason.
var ErrNotReusable = errors.New("no idle timeout")

// NotReusableError is the verdict on the first response.
type NotReusableError struct {
	Reuse   Reuse
	Message Message
}

func (e *NotReusableError) Error() string {
	said := e.Reuse.Why.String()
	if e.Reuse.By == ByClient && e.Reuse.Why == WhyClose {
		said += " in the request"
	}
	return fmt.Sprintf("the connection closes after each response (%s): there is no idle timeout", said)
}

// Is reports that the error is [ErrNotReusable].
func (e *NotReusableError) Is(target error) bool { return target == ErrNotReusable }

// Find measures. When ctx ends it returns what is known by then, with the
// cause.
func (f IdleFinder) Find(ctx context.Context) (IdleResult, error) {
	if f.Samples <= 0 {
		f.Samples = 5
	}
	if f.GiveUpAfter <= 0 {
		f.GiveUpAfter = 10 * time.Minute
	}
	if f.Enough <= 0 || f.Enough > f.GiveUpAfter {
		f.Enough = f.GiveUpAfter
	}
	if f.Dial == nil {
		f.Dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	if f.OnProgress == nil {
		f.OnProgress = func(IdleProgress) {}
	}
	a, err := f.approach()
	if err != nil {
		return IdleResult{How: IdleNone}, err
	}
	return newIdleHunt(f, a).run(ctx)
}

// approach is how each connection begins.
type approach struct {
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	address  string
	tls      *tls.Config // nil without
	request  []byte
	patience time.Duration // for the first response
}

// firstAnswer bounds the wait for a first response.
const firstAnswer = 30 * time.Second

func (f *IdleFinder) approach() (*approach, error) {
	u, err := url.Parse(f.URL)
	if err != nil {
		return nil, err
	}
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q: must be a URL of http or https", f.URL)
	}
	port := u.Port()
	if port == "" {
		port = u.Scheme // a service's name
	}
	a := &approach{dial: f.Dial, address: net.JoinHostPort(u.Hostname(), port), patience: min(firstAnswer, f.GiveUpAfter)}
	if u.Scheme == "https" {
		a.tls = new(tls.Config)
		if f.TLS != nil {
			a.tls = f.TLS.Clone()
		}
		if a.tls.ServerName == "" {
			a.tls.ServerName = u.Hostname()
		}
		a.tls.NextProtos = []string{"http/1.1"}
	}
	req, err := http.NewRequest(http.MethodGet, f.URL, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "kax")
	req.Header.Set("Accept", "*/*")
	// For servers of HTTP/1.0, and those that announce their timeout only to
	// who asks for it.
	req.Header.Set("Connection", "keep-alive")
	for name, values := range f.Header {
		if strings.EqualFold(name, "Host") && len(values) > 0 {
			req.Host = values[0]
			continue
		}
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	var b bytes.Buffer
	if err := req.Write(&b); err != nil {
		return nil, err
	}
	a.request = b.Bytes()
	return a, nil
}
