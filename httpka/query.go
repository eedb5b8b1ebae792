package httpka

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of what a request can ask for.
const (
	maxBytes = 1 << 30
	maxWait  = 10 * time.Minute
)

// A params reads a request's query, and keeps the first thing that is wrong
// with it.
type params struct {
	values url.Values
	err    error
}

// query takes parameters of these names, each at most once.
func query(r *http.Request, names ...string) *params {
	return parseQuery(r.URL.RawQuery, names...)
}

func parseQuery(raw string, names ...string) *params {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return &params{err: fmt.Errorf("the query cannot be read: %w", err)}
	}
	for name, given := range values {
		if !slices.Contains(names, name) {
			return &params{err: fmt.Errorf("no parameter %q here; there is: %s", name, strings.Join(names, ", "))}
		}
		if len(given) > 1 {
			return &params{err: fmt.Errorf("%s: given %d times", name, len(given))}
		}
	}
	return &params{values: values}
}

func (p *params) bad(name, want string) {
	if p.err == nil {
		p.err = fmt.Errorf("%s=%s: must be %s", name, strconv.Quote(p.values.Get(name)), want)
	}
}

// size is a number of bytes.
func (p *params) size(name string, n int) int {
	if p.values.Has(name) {
		v, err := strconv.Atoi(p.values.Get(name))
		if err != nil || v < 0 || v > maxBytes {
			p.bad(name, fmt.Sprintf("a number of bytes from 0 to %d", maxBytes))
		}
		n = v
	}
	return n
}

// wait is a duration, Go's or bare seconds.
func (p *params) wait(name string, d time.Duration) time.Duration {
	if text := p.values.Get(name); p.values.Has(name) {
		if strings.Trim(text, "0123456789.") == "" {
			text += "s"
		}
		v, err := time.ParseDuration(text)
		if err != nil || v < 0 || v > maxWait {
			p.bad(name, "a duration like 1m30s, or seconds like 90, from 0 to "+maxWait.String())
		}
		d = v
	}
	return d
}

// flag is 0 or 1, and without it 0.
func (p *params) flag(name string) bool {
	text := p.values.Get(name)
	if p.values.Has(name) && text != "0" && text != "1" {
		p.bad(name, "0 or 1")
	}
	return text == "1"
}
