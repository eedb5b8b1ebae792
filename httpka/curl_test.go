package httpka_test

import (
	"os/exec"
	"strings"
	"testing"

	"kax/httpka"
	"kax/internal/need"
)

// curl knows nothing of kax, and shows what it makes of a connection.
func TestCurl(t *testing.T) {
	curl := need.Tool(t, "curl")
	for _, test := range []struct {
		name      string
		closeWith httpka.CloseWith
		args      []string // URLs begin with /
		opened    int
		said      []string
		unsaid    []string
	}{
		{"keep", httpka.FIN, []string{"/keep", "/keep"}, 1,
			[]string{"Re-using existing connection", "left intact"}, []string{"Closing connection", "Connection: close"}},
		{"close", httpka.FIN, []string{"/close", "/close"}, 2,
			[]string{"Connection: close", "Closing connection"}, []string{"Re-using", "left intact"}},
		{"close with RST", httpka.RST, []string{"/close", "/close"}, 2,
			[]string{"Connection: close", "Closing connection"}, []string{"Re-using", "left intact"}},
		{"HTTP/1.0", httpka.FIN, []string{"--http1.0", "/keep", "/keep"}, 2,
			[]string{"HTTP/1.0 200 OK"}, []string{"Re-using", "Connection: close"}},
		{"HTTP/1.0 keep-alive", httpka.FIN, []string{"--http1.0", "-H", "Connection: keep-alive", "/keep", "/keep"}, 1,
			[]string{"HTTP/1.0 200 OK", "Connection: keep-alive", "Re-using existing connection"}, nil},
		{"the client closes", httpka.FIN, []string{"-H", "Connection: close", "/keep", "/keep"}, 2,
			[]string{"Connection: close"}, []string{"Re-using"}},
		{"expect", httpka.FIN, []string{"-H", "Expect: 100-continue", "-d", "abc", "/keep", "/keep"}, 1,
			[]string{"100 Continue", "Re-using existing connection"}, []string{"Connection: close"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rec := newRecorder()
			_, addr := serve(t, httpka.ServerConfig{CloseWith: test.closeWith, OnEvent: rec.tell})
			args := []string{"-q", "-sv", "--noproxy", "*"}
			for _, arg := range test.args {
				if strings.HasPrefix(arg, "/") {
					arg = "http://" + addr + arg
				}
				args = append(args, arg)
			}
			out, err := exec.CommandContext(t.Context(), curl, args...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, s := range test.said {
				if !strings.Contains(string(out), s) {
					t.Errorf("curl does not say %q", s)
				}
			}
			for _, s := range test.unsaid {
				if strings.Contains(string(out), s) {
					t.Errorf("curl says %q", s)
				}
			}
			if n := len(rec.of(httpka.Opened)); n != test.opened {
				t.Errorf("%d connections, want %d", n, test.opened)
			}
			if n := len(rec.of(httpka.Response)); n != 2 {
				t.Errorf("%d responses, want 2", n)
			}
			if t.Failed() {
				t.Logf("curl:\n%s", out)
			}
		})
	}
}
