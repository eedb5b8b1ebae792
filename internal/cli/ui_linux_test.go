package cli

import (
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"
	"syscall"
	"testing"

	"kax/internal/browser"
	"kax/internal/need"
)

// uiPage is a kax ui under test.
type uiPage struct {
	*running
	url, origin string
}

func startUI(t *testing.T, mode string, args ...string) *uiPage {
	t.Helper()
	r := start(t, kax(mode, append([]string{"ui"}, args...)...))
	r.until(t, "http://")
	p := &uiPage{running: r, url: strings.TrimSpace(r.stdout.String())}
	p.origin, _, _ = strings.Cut(p.url, "?")
	return p
}

// browse opens the page in a browser.
func (u *uiPage) browse(t *testing.T) *browser.Page {
	t.Helper()
	p := browser.Open(t)
	p.From(u.origin)
	p.View(1280, 800, "light")
	p.Go(u.url)
	until(p, "document.body.dataset.ready")
	return p
}

// client is one that the page's session is given to.
func (u *uiPage) client(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar}
	res, err := c.Get(u.url)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	return c
}

// until waits for something to become true in the page.
func until(p *browser.Page, what string) {
	p.Eval("new Promise((done) => { const look = () => ("+what+") ? done(1) : requestAnimationFrame(look); look(); })", nil)
}

// The demo, started from the page: it comes in while it runs, and the page has what
// its records have.
func TestUIDemo(t *testing.T) {
	t.Parallel()
	need.Tool(t, "chromium")
	u := startUI(t, asIs)
	p := u.browse(t)
	shot := func(name string) {
		if dir := os.Getenv("KAX_SHOTS"); dir != "" {
			if err := os.WriteFile(dir+name, p.Shot(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	shot("before.png")
	p.Eval(`document.getElementById("start").click()`, nil)
	until(p, `kax.page && kax.page.model.events.some((e) => e.kind === "probe-answer")`)
	var live bool
	p.Eval("!kax.page.model.summary", &live)
	if !live {
		t.Error("the first probe is shown when all is over")
	}
	shot("live.png")
	until(p, `kax.ui.shown.done && kax.page.model.summary`)
	shot("after.png")
	if err := p.Complaints(); err != nil {
		t.Error(err)
	}

	if err := u.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if res := u.end(t); res.code != 0 {
		t.Error(res)
	}
}
