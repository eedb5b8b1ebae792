package view_test

import (
	"testing"
	"unicode"

	"kax/internal/view"
)

func TestClean(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"GET /keep?a=b&c=%20 ~", "GET /keep?a=b&c=%20 ~"},
		{`\x1b is spelled so`, `\x1b is spelled so`},
		{"\x1b[31m", `\x1b[31m`},
		{"a\r\nb", `a\x0d\x0ab`},
		{"\x00\t\x7f", `\x00\x09\x7f`},
		{"\u0080\u009b2J", `\u0080\u009b2J`},
		{"\u202egpj.exe\u2066\u200f", `\u202egpj.exe\u2066\u200f`},
		{"a\u00a0b\u2028c\ufeff", `a\u00a0b\u2028c\ufeff`},
		{"\xff", `\xff`},
		{"caf\xc3", `caf\xc3`},
		{"\xed\xa0\x80", `\xed\xa0\x80`}, // a surrogate
		{"\xc0\x9b", `\xc0\x9b`},         // an overlong form
		{"\ufffd", "\ufffd"},             // itself no error
		{"café → 31 µs", "café → 31 µs"},
		{"日本", "日本"},
		{"😀", "😀"},
		{"\U000e0041", `\U000e0041`}, // a tag
		{"\U0010ffff", `\U0010ffff`},
	} {
		if got := view.Clean(test.in); got != test.want {
			t.Errorf("Clean(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"", "plain", "\x1b[0m", "a\r\nb\x00", "\u009b\u202e", "\xff\xc3", "😀\U000e0041", "\x7f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, plain := view.Clean(s), true
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("Clean(%q) = %q has %U", s, got, r)
			}
		}
		for i := range len(s) {
			plain = plain && ' ' <= s[i] && s[i] <= '~'
		}
		if plain && got != s {
			t.Errorf("Clean(%q) = %q", s, got)
		}
		if again := view.Clean(got); again != got {
			t.Errorf("Clean(%q) = %q, and again %q", s, got, again)
		}
	})
}

func BenchmarkClean(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if view.Clean("/keep?a=b") != "/keep?a=b" {
			b.Fatal("changed")
		}
	}
}
