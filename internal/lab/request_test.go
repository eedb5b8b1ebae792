package lab_test

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"kax/httpka"
	"kax/internal/lab"
	"kax/internal/timeline"
)

// Where there are neither packets nor counters, the requests and their reasons
// are told all the same, and nothing is said of probes.
func TestRequestWithoutPackets(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := httpka.NewServer(httpka.ServerConfig{})
	go srv.Serve(l) //nolint:errcheck // closed below
	defer srv.Close()
	var whys, kinds, verdicts []string
	err = lab.Request{
		URLs: []*url.URL{{Scheme: "http", Host: l.Addr().String(), Path: "/close"}}, Requests: 2, Concurrency: 1,
		Make: func(ctx context.Context, u *url.URL) (*http.Request, error) {
			return http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		},
		Failed: func(n int, _ *url.URL, x *httpka.Exchange) { t.Errorf("request %d: %v", n, x.Err) },
	}.Run(t.Context(), lab.Env{Emit: func(r timeline.Record) {
		switch {
		case r.Exchange != nil:
			whys = append(whys, r.Exchange.Why)
		case r.Event != nil:
			kinds = append(kinds, r.Event.Kind)
		case r.Summary != nil:
			verdicts = slices.Clone(r.Summary.Verdicts)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"first", "server-close"}; !slices.Equal(whys, want) {
		t.Errorf("%q, want %q", whys, want)
	}
	if want := []string{"request", "response", "request", "response"}; !slices.Equal(kinds, want) {
		t.Errorf("events %q, want %q", kinds, want)
	}
	if len(verdicts) != 2 {
		t.Errorf("%q", verdicts)
	}
}
