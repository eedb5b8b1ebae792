package httpka_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kax/httpka"
)

// secure starts a server with TLS, and returns how a client trusts it.
func secure(t *testing.T, cfg httpka.ServerConfig) (addr string, client *tls.Config) {
	t.Helper()
	cert, err := httpka.SelfSigned("localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	_, addr = serve(t, cfg)
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	return addr, &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// Everything is told as without TLS.
func TestTLS(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	addr, trust := secure(t, httpka.ServerConfig{OnEvent: rec.tell, MaxRequests: 9, Announce: true})
	tr := &http.Transport{TLSClientConfig: trust, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr}
	get := func(path string) (*http.Response, error) {
		resp, err := c.Get("https://" + addr + path)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp, err
	}
	for i, path := range []string{"/keep", "/bytes?n=1000000&chunked=1", "/close"} {
		resp, err := get(path)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Proto != "HTTP/1.1" || resp.TLS.NegotiatedProtocol != "http/1.1" {
			t.Errorf("%s over %q", resp.Proto, resp.TLS.NegotiatedProtocol)
		}
		if e := rec.wait(t, httpka.Response, i+1); e.Target != path || e.Nth != i+1 || e.Conn != 1 ||
			e.Server.String() != addr || e.KeepAlive != resp.Header.Get("Keep-Alive") {
			t.Errorf("told %+v", e)
		}
	}
	if e := rec.wait(t, httpka.Closed, 1); e.Reason != "said Connection: close" || e.Nth != 3 {
		t.Errorf("closed: %+v", e)
	}
	if _, err := get("/rst"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("/rst: %v, want ECONNRESET", err)
	}
	if _, err := get("/half"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("/half: %v, want an unexpected EOF", err)
	}
}

func TestTLSIdle(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	addr, trust := secure(t, httpka.ServerConfig{OnEvent: rec.tell, IdleTimeout: 200 * time.Millisecond})
	c, err := tls.Dial("tcp", addr, trust)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, keepRequest)
	if _, err := io.ReadAll(c); err != nil { // to TLS's own goodbye
		t.Error(err)
	}
	if e := rec.wait(t, httpka.Closed, 1); e.Reason != "idle timeout" || e.Idle < 200*time.Millisecond {
		t.Errorf("closed: %+v", e)
	}
	if n := len(rec.of(httpka.IdleClose)); n != 1 {
		t.Errorf("%d idle closes", n)
	}
}

func TestNoTLS(t *testing.T) {
	for _, test := range []struct {
		name   string
		talk   func(t *testing.T, addr string, trust *tls.Config)
		reason string
	}{
		{"plain HTTP", func(t *testing.T, addr string, _ *tls.Config) {
			if resp, body := dialRaw(t, addr).body(keepRequest); resp.StatusCode != 400 || !strings.Contains(body, "use https") {
				t.Errorf("status %d: %s", resp.StatusCode, body)
			}
		}, "no TLS: the first bytes are another protocol's"},
		{"HTTP/2 only", func(t *testing.T, addr string, trust *tls.Config) {
			trust.NextProtos = []string{"h2"}
			if _, err := tls.Dial("tcp", addr, trust); err == nil {
				t.Error("there is a connection")
			}
		}, `no TLS: client requested unsupported application protocols (["h2"])`},
		{"no trust", func(t *testing.T, addr string, _ *tls.Config) {
			if _, err := tls.Dial("tcp", addr, nil); err == nil {
				t.Error("the certificate is trusted")
			}
		}, "no TLS: remote error: tls: bad certificate"},
		{"nothing", func(t *testing.T, addr string, _ *tls.Config) { dialRaw(t, addr).Close() }, "the client closed"},
		{"reset", func(t *testing.T, addr string, _ *tls.Config) { reset(t, dialRaw(t, addr).Conn) }, "the client reset it"},
		{"silence", func(t *testing.T, addr string, _ *tls.Config) {
			if err := dialRaw(t, addr).end(); err != nil {
				t.Error(err)
			}
		}, "no request in time"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rec := newRecorder()
			cfg := httpka.ServerConfig{OnEvent: rec.tell}
			if test.name == "silence" {
				cfg.IdleTimeout = 100 * time.Millisecond
			}
			addr, trust := secure(t, cfg)
			test.talk(t, addr, trust)
			if e := rec.wait(t, httpka.Closed, 1); e.Reason != test.reason {
				t.Errorf("closed: %q, want %q", e.Reason, test.reason)
			}
			if got, want := rec.kinds(), []httpka.Kind{httpka.Opened, httpka.Closed}; !slices.Equal(got, want) {
				t.Errorf("told %v, want %v", got, want)
			}
		})
	}
}

func TestSelfSigned(t *testing.T) {
	t.Parallel()
	cert, err := httpka.SelfSigned("localhost", "192.0.2.1", "::1")
	if err != nil {
		t.Fatal(err)
	}
	for host, good := range map[string]bool{"localhost": true, "192.0.2.1": true, "::1": true, "192.0.2.2": false, "example.org": false} {
		if err := cert.Leaf.VerifyHostname(host); (err == nil) != good {
			t.Errorf("%s: %v", host, err)
		}
	}
	if !slices.ContainsFunc(cert.Leaf.IPAddresses, net.IPv6loopback.Equal) {
		t.Errorf("addresses %v", cert.Leaf.IPAddresses)
	}
}
