package known_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"kax/internal/known"
)

func TestFields(t *testing.T) {
	names := map[string]bool{}
	for _, s := range known.Systems() {
		for _, text := range []struct {
			field, value string
			least, most  int
		}{
			{"name", s.Name, 1, 30},
			{"kind", string(s.Kind), 1, 12},
			{"note", s.Note, 0, 48},
			{"source", s.Source, 1, 60},
		} {
			if n := len(text.value); n < text.least || n > text.most {
				t.Errorf("%q: %s %q has %d characters, not %d to %d", s.Name, text.field, text.value, n, text.least, text.most)
			}
			if strings.TrimSpace(text.value) != text.value || strings.Contains(text.value, "://") ||
				strings.ContainsFunc(text.value, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q: %s %q is not plain text", s.Name, text.field, text.value)
			}
		}
		if names[s.Name] {
			t.Errorf("%q is there twice", s.Name)
		}
		names[s.Name] = true
		// Nothing keeps a connection for less than a second or more than 5 days:
		// such a row has the wrong unit.
		if s.IdleTimeout < time.Second || s.IdleTimeout > 5*24*time.Hour || s.IdleTimeout%time.Second != 0 {
			t.Errorf("%q: an idle timeout of %v", s.Name, s.IdleTimeout)
		}
		// RFC 1122, the first to speak of keepalives, is of 1989.
		if s.Year < 1989 || s.Year > 2026 {
			t.Errorf("%q: a source of %d", s.Name, s.Year)
		}
	}
}

func TestProbesCount(t *testing.T) {
	want := map[known.Kind]bool{
		known.NAT: true, known.Firewall: true, known.Balancer: true,
		known.Proxy: false, known.Server: false, known.Client: false,
	}
	seen := map[known.Kind]bool{}
	// What the vendors say of probes themselves.
	said := map[string]bool{
		"AWS Network Load Balancer": true,
		"AWS Network Firewall":      true,
		"AWS NAT gateway":           true,
		"Azure Load Balancer":       true,
		"Azure NAT Gateway":         true,
		"AWS Classic Load Balancer": false,
		"Envoy, HTTP":               false,
	}
	for _, s := range known.Systems() {
		count, ok := want[s.Kind]
		if !ok {
			t.Errorf("%q: a kind without a rule: %q", s.Name, s.Kind)
		}
		if s.ProbesCount() != count {
			t.Errorf("%q, a %s: probes count: %t", s.Name, s.Kind, s.ProbesCount())
		}
		seen[s.Kind] = true
		if count, ok := said[s.Name]; ok && s.ProbesCount() != count {
			t.Errorf("%q: probes count: %t; its documentation says otherwise", s.Name, s.ProbesCount())
		}
		delete(said, s.Name)
	}
	for kind := range want {
		if !seen[kind] {
			t.Errorf("no system is a %s", kind)
		}
	}
	for name := range said {
		t.Errorf("%q is gone", name)
	}
	if known.Kind("").ProbesCount() {
		t.Error("probes count where nobody knows what it is")
	}
}

func TestOrder(t *testing.T) {
	systems := known.Systems()
	rank := func(s known.System) int {
		if s.ProbesCount() {
			return 0
		}
		return 1
	}
	compare := func(a, b known.System) int {
		return cmp.Or(
			cmp.Compare(rank(a), rank(b)),
			cmp.Compare(a.IdleTimeout, b.IdleTimeout),
			cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)),
		)
	}
	for i := 1; i < len(systems); i++ {
		if compare(systems[i-1], systems[i]) >= 0 {
			t.Errorf("%q before %q", systems[i-1].Name, systems[i].Name)
		}
	}
}

func TestSystemsIsFresh(t *testing.T) {
	before := known.Systems()
	changed := known.Systems()
	clear(changed)
	if !slices.Equal(known.Systems(), before) {
		t.Error("a caller changed the list for the others")
	}
}

// Figures on which others are chosen: a typing error here would mislead.
func TestFigures(t *testing.T) {
	want := map[string]time.Duration{
		"AWS Network Load Balancer": 350 * time.Second,
		"Azure Load Balancer":       240 * time.Second,
		"GCP VPC firewall":          600 * time.Second,
		"Linux conntrack":           120 * time.Hour,
		"any NAT, by RFC 5382":      7440 * time.Second,
		"nginx, to client":          75 * time.Second,
		"Go http.Transport":         90 * time.Second,
	}
	for _, s := range known.Systems() {
		if d, ok := want[s.Name]; ok && s.IdleTimeout != d {
			t.Errorf("%q: %v, not %v", s.Name, s.IdleTimeout, d)
		}
		delete(want, s.Name)
	}
	for name := range want {
		t.Errorf("%q is gone", name)
	}
}
