package web

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Nothing is answered without the session, whatever is asked; the token gives it
// once.
func TestToken(t *testing.T) {
	s := serve(t, oneRecord)
	for _, r := range []*http.Request{
		s.request("GET", "", nil), s.request("GET", "ui.js", nil), s.request("GET", "menu", nil), s.request("GET", "runs", nil),
		s.request("GET", "runs/1/events", nil), s.request("POST", "runs", strings.NewReader(demo)), s.request("POST", "runs/1/stop", nil),
		s.request("POST", "captures?name=x", strings.NewReader("x")), s.request("GET", "?token=wrong", nil), s.request("GET", "menu?token="+s.guard.token, nil),
	} {
		if code, text := s.do(t, r); code != http.StatusForbidden {
			t.Errorf("%s %s: %d %s", r.Method, r.URL, code, text)
		}
	}
	if len(s.asked) > 0 {
		t.Fatalf("something has run: %q", s.asked)
	}
	forged := s.request("GET", "menu", nil)
	forged.AddCookie(&http.Cookie{Name: s.guard.cookie, Value: "guess"})
	if code, _ := s.do(t, forged); code != http.StatusForbidden {
		t.Errorf("a forged session: %d", code)
	}
	address := s.URL()
	s.login(t)
	jar, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.client.Jar.Cookies(jar); len(got) != 1 || got[0].Value != s.guard.session {
		t.Fatalf("cookies %v", got)
	}
	if code, _ := s.do(t, s.request("GET", "menu", nil)); code != http.StatusOK {
		t.Errorf("with the session: %d", code)
	}
	if code, _ := s.do(t, s.request("GET", address, nil)); code != http.StatusOK {
		t.Errorf("the address again, with the session: %d", code)
	}
	s.client.Jar = nil
	if code, text := s.do(t, s.request("GET", address, nil)); code != http.StatusForbidden || !strings.Contains(text, "works once") {
		t.Errorf("the token again: %d %s", code, text)
	}
}

// The cookie is for this server's pages only, and no script can read it.
func TestCookie(t *testing.T) {
	s := serve(t, oneRecord)
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := s.client.Do(s.request("GET", s.URL(), nil))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	c := res.Cookies()
	if len(c) != 1 || !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode || c[0].Domain != "" {
		t.Errorf("%v", c)
	}
	if to := res.Header.Get("Location"); to != "/" {
		t.Errorf("the token stays in the address: %s", to)
	}
}

// A name of somebody else's that has been made to lead here opens nothing, also with
// the session.
func TestRebinding(t *testing.T) {
	s := serve(t, oneRecord).login(t)
	_, port, _ := net.SplitHostPort(s.listener.Addr().String())
	for host, want := range map[string]int{
		"evil.example": 421, "evil.example:" + port: 421, "127.0.0.1": 421, "127.0.0.1:1": 421, "127.0.0.1.evil.example:" + port: 421,
		"localhost:" + port: 200, "127.0.0.1:" + port: 200,
	} {
		r := s.request("GET", "menu", nil)
		r.AddCookie(&http.Cookie{Name: s.guard.cookie, Value: s.guard.session})
		r.Host = host
		if code, _ := s.do(t, r); code != want {
			t.Errorf("Host %s: %d, want %d", host, code, want)
		}
	}
}

// Another site's page cannot act, though the browser would send the session along.
func TestOrigin(t *testing.T) {
	s := serve(t, oneRecord).login(t)
	for _, path := range []string{"runs", "runs/1/stop", "captures?name=x.pcap", "predict"} {
		for _, origin := range []string{"", "null", "https://evil.example", "http://127.0.0.1:1", "http://127.0.0.1", strings.TrimSuffix(s.base, "/") + ".evil.example"} {
			r := s.request("POST", path, strings.NewReader(demo))
			if r.Header.Del("Origin"); origin != "" {
				r.Header.Set("Origin", origin)
			}
			if code, _ := s.do(t, r); code != http.StatusForbidden {
				t.Errorf("POST %s from %q: %d", path, origin, code)
			}
		}
	}
	r := s.request("GET", "runs", nil)
	r.Header.Set("Origin", "http://127.0.0.1:1")
	if code, _ := s.do(t, r); code != http.StatusForbidden {
		t.Errorf("GET from another origin: %d", code)
	}
	if len(s.asked) > 0 {
		t.Errorf("something has run: %q", s.asked)
	}
}

// What acts is a POST.
func TestMethods(t *testing.T) {
	s := serve(t, oneRecord).login(t)
	for _, path := range []string{"runs/1/stop", "captures?name=x", "predict"} {
		if code, _ := s.do(t, s.request("GET", path, nil)); code != http.StatusMethodNotAllowed && code != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, code)
		}
	}
}

// Every answer has the policy, also a refusal; the page has no script or style in
// itself, and loads what is served.
func TestPolicy(t *testing.T) {
	s := serve(t, oneRecord)
	for _, login := range []bool{false, true} {
		if login {
			s.login(t)
		}
		for _, path := range []string{"", "ui.js", "runs", "none"} {
			res, err := s.client.Do(s.request("GET", path, nil))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			got := res.Header.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "style-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"} {
				if !strings.Contains(got, part) {
					t.Errorf("%s: no %s in %q", path, part, got)
				}
			}
			if strings.Contains(got, "unsafe") || res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %v", path, res.Header)
			}
		}
	}
	text := uiPage()
	for _, left := range []string{"{{", "<script>", "<style", "style=", "javascript:", " onclick", "http://", "https://"} {
		if strings.Contains(text, left) {
			t.Errorf("the page has %q", left)
		}
	}
	for _, name := range served {
		for _, bad := range []string{"eval(", "new Function", "innerHTML", "insertAdjacentHTML", "document.write", "https://"} {
			if strings.Contains(read(name), bad) {
				t.Errorf("%s has %s", name, bad)
			}
		}
		if code, got := s.do(t, s.request("GET", name, nil)); code != http.StatusOK || got != read(name) {
			t.Errorf("%s: %d", name, code)
		}
	}
}
