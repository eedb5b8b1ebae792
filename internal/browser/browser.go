// Package browser runs a real browser for tests: Chromium without a window, by the
// DevTools protocol over a pipe.
package browser

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"kax/internal/need"
)

// patience is how long a page may take for anything, on a busy machine.
const patience = time.Minute

// A Page is a tab, and what it complained of.
type Page struct {
	t       testing.TB
	out     *os.File
	session string

	mu         sync.Mutex
	last       int
	waiting    map[int]chan answer
	events     map[string]chan struct{} // the next of its kind
	complaints []string
	from       string // may be loaded from
}

type answer struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct{ Message string }
}

// Open starts a browser with one tab. It skips the test where there is none.
func Open(t testing.TB) *Page {
	t.Helper()
	chromium := need.Tool(t, "chromium")
	toR, toW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromR, fromW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	cmd := exec.Command(chromium, "--headless", "--remote-debugging-pipe", "--user-data-dir="+home+"/profile",
		"--no-sandbox", // which root cannot have, nor who may make no namespaces
		"--no-first-run", "--log-level=3", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-extensions", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home)
	cmd.ExtraFiles = []*os.File{toR, fromW} // 3 and 4, as the protocol has it
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toR.Close()
	fromW.Close()
	p := &Page{t: t, out: toW, waiting: map[int]chan answer{}, events: map[string]chan struct{}{}}
	ended := make(chan struct{})
	go func() {
		p.read(bufio.NewReaderSize(fromR, 1<<16))
		close(ended)
	}()
	t.Cleanup(func() {
		p.write("Browser.close", nil, "")
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
		}
		toW.Close()
		fromR.Close()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the browser said:\n%s", log.String())
		}
	})
	var target struct{ TargetID string }
	p.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	p.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.call(domain+".enable", nil, nil)
	}
	return p
}

// read takes what the browser says, until it ends.
func (p *Page) read(r *bufio.Reader) {
	for {
		message, err := r.ReadBytes(0)
		if err != nil {
			p.mu.Lock()
			for id, c := range p.waiting {
				close(c)
				delete(p.waiting, id)
			}
			p.mu.Unlock()
			return
		}
		var a answer
		if json.Unmarshal(message[:len(message)-1], &a) != nil {
			continue
		}
		p.mu.Lock()
		switch {
		case a.ID != 0:
			if c := p.waiting[a.ID]; c != nil {
				c <- a
				delete(p.waiting, a.ID)
			}
		default:
			p.told(a)
		}
		p.mu.Unlock()
	}
}

// told takes an event.
func (p *Page) told(a answer) {
	switch a.Method {
	case "Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled":
		p.complaints = append(p.complaints, a.Method+" "+string(a.Params))
	case "Network.requestWillBeSent":
		var sent struct{ Request struct{ URL string } }
		if json.Unmarshal(a.Params, &sent) == nil && !strings.HasPrefix(sent.Request.URL, "file:") && !strings.HasPrefix(sent.Request.URL, "about:") &&
			(p.from == "" || !strings.HasPrefix(sent.Request.URL, p.from)) {
			p.complaints = append(p.complaints, "loads "+sent.Request.URL)
		}
	}
	if c := p.events[a.Method]; c != nil {
		close(c)
		delete(p.events, a.Method)
	}
}

func (p *Page) write(method string, params any, session string) (int, chan answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	message := map[string]any{"id": p.last, "method": method}
	if params != nil {
		message["params"] = params
	}
	if session != "" {
		message["sessionId"] = session
	}
	b, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	c := make(chan answer, 1)
	p.waiting[p.last] = c
	_, _ = p.out.Write(append(b, 0)) // an end shows when no answer comes
	return p.last, c
}

// call asks for something, and waits for the answer.
func (p *Page) call(method string, params, result any) {
	p.t.Helper()
	_, c := p.write(method, params, p.session)
	select {
	case a, ok := <-c:
		switch {
		case !ok:
			p.t.Fatalf("%s: the browser has ended", method)
		case a.Error != nil:
			p.t.Fatalf("%s: %s", method, a.Error.Message)
		case result != nil:
			if err := json.Unmarshal(a.Result, result); err != nil {
				p.t.Fatalf("%s: %v", method, err)
			}
		}
	case <-time.After(patience):
		p.t.Fatalf("%s: no answer", method)
	}
}

// From lets the page load what has this beginning, as in http://127.0.0.1:8080/.
func (p *Page) From(origin string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from = origin
}

// Go loads an address, and waits until it is there.
func (p *Page) Go(url string) {
	p.t.Helper()
	loaded := make(chan struct{})
	p.mu.Lock()
	p.events["Page.loadEventFired"] = loaded
	p.mu.Unlock()
	p.call("Page.navigate", map[string]any{"url": url}, nil)
	select {
	case <-loaded:
	case <-time.After(patience):
		p.t.Fatalf("%s: not loaded", url)
	}
	p.Settle()
}

// Settle waits until what has been asked for is drawn.
func (p *Page) Settle() {
	p.t.Helper()
	p.Eval("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))", nil)
}

// Eval runs an expression in the page, as if somebody had just touched it, so that it
// may open a window, and waits for it if it is a promise.
func (p *Page) Eval(expression string, result any) {
	p.t.Helper()
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	p.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true,
		"userGesture": true}, &out)
	if out.ExceptionDetails != nil {
		p.t.Fatalf("%s: %s", expression, out.ExceptionDetails)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(out.Result.Value, result); err != nil {
		p.t.Fatalf("%s: %v: %s", expression, err, out.Result.Value)
	}
}

// keyCodes are those that the browser itself acts on.
var keyCodes = map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}

// Press presses keys, by the names that KeyboardEvent.key has for them.
func (p *Page) Press(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		press := map[string]any{"type": "keyDown", "key": key, "windowsVirtualKeyCode": keyCodes[key], "code": key}
		if len(key) == 1 {
			press["text"] = key
		} else if key == "Enter" {
			press["text"] = "\r"
		}
		p.call("Input.dispatchKeyEvent", press, nil)
		p.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "windowsVirtualKeyCode": keyCodes[key], "code": key}, nil)
	}
	p.Settle()
}

// Mouse sends a mouse event: mouseMoved, mousePressed, mouseReleased.
func (p *Page) Mouse(kind string, x, y float64) {
	p.t.Helper()
	params := map[string]any{"type": kind, "x": x, "y": y}
	if kind != "mouseMoved" {
		params["button"], params["clickCount"] = "left", 1
	}
	p.call("Input.dispatchMouseEvent", params, nil)
}

// Touch sends a touch event: touchStart, touchMove, touchEnd, with where each finger
// is.
func (p *Page) Touch(kind string, fingers ...[2]float64) {
	p.t.Helper()
	points := []map[string]any{}
	for id, at := range fingers {
		points = append(points, map[string]any{"x": at[0], "y": at[1], "id": id})
	}
	p.call("Input.dispatchTouchEvent", map[string]any{"type": kind, "touchPoints": points}, nil)
}

// View sets the size of the window, in CSS pixels, and which theme the system has.
func (p *Page) View(width, height int, scheme string) {
	p.t.Helper()
	phone := width < 500
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": map[bool]int{true: 2, false: 1}[phone], "mobile": phone}, nil)
	p.call("Emulation.setTouchEmulationEnabled", map[string]any{"enabled": phone}, nil)
	p.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	p.Settle()
}

// Shot is a picture of the window, as PNG.
func (p *Page) Shot() []byte {
	p.t.Helper()
	var out struct{ Data string }
	p.call("Page.captureScreenshot", map[string]any{"format": "png"}, &out)
	png, err := base64.StdEncoding.DecodeString(out.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	return png
}

// Print prints, as PDF.
func (p *Page) Print() []byte {
	p.t.Helper()
	var out struct{ Data string }
	p.call("Page.printToPDF", map[string]any{"printBackground": true}, &out)
	pdf, err := base64.StdEncoding.DecodeString(out.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	return pdf
}

// Complaints are what the page has written to its console, threw, or loaded.
func (p *Page) Complaints() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.complaints) == 0 {
		return nil
	}
	return fmt.Errorf("the page complains: %s", strings.Join(p.complaints, "\n"))
}
