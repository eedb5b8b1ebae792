package view_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"kax/internal/timeline"
	"kax/internal/view"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got to a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s (go test ./internal/view -update writes it):\n%s\nwant:\n%s", name, got, want)
	}
}

type kind struct {
	name string
	make func(io.Writer, view.Options) view.View
}

var (
	lanes = kind{"lanes", func(w io.Writer, o view.Options) view.View { return view.NewLanes(w, o) }}
	list  = kind{"list", func(w io.Writer, o view.Options) view.View { return view.NewList(w, o) }}
	lines = kind{"json", func(w io.Writer, o view.Options) view.View { return view.NewJSON(w, o) }}
)

func render(t testing.TB, k kind, o view.Options, records []timeline.Record) []byte {
	t.Helper()
	var out bytes.Buffer
	v := k.make(&out, o)
	for _, r := range records {
		if err := v.Record(r); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// A run in which nothing happened has no table, and no blank line behind it.
func TestNothingHappened(t *testing.T) {
	got := string(render(t, lanes, view.Options{Width: 80, TCPOnly: true}, []timeline.Record{{Summary: &timeline.Summary{}}}))
	if got != "\n0 connections, 0 probes, 0 answered\n" {
		t.Errorf("%q", got)
	}
}

func TestGolden(t *testing.T) {
	for _, test := range []struct {
		file string
		kind kind
		opts view.Options
	}{
		{"lanes-60", lanes, view.Options{Width: 60}},
		{"lanes-80", lanes, view.Options{Width: 80}},
		{"lanes-140", lanes, view.Options{Width: 140}},
		{"lanes-color", lanes, view.Options{Width: 80, Color: true}},
		{"lanes-summary", lanes, view.Options{Width: 80, Summary: true}},
		{"lanes-only-probes", lanes, view.Options{Width: 80, Only: []string{"probe", "probe-answer"}}},
		{"lanes-only-http", lanes, view.Options{Width: 80, Only: []string{"request", "response", "idle-close", "error"}}},
		{"lanes-only-mixed", lanes, view.Options{Width: 80, Only: []string{"probe", "request", "fin"}}},
		{"list", list, view.Options{Width: 80}},
		{"list-color", list, view.Options{Width: 80, Color: true}},
		{"list-summary", list, view.Options{Width: 80, Summary: true}},
		{"list-only-http", list, view.Options{Width: 80, Only: []string{"request", "response"}}},
		{"list-only-probes", list, view.Options{Width: 80, Only: []string{"probe"}}},
		{"json", lines, view.Options{}},
		{"json-summary", lines, view.Options{Summary: true}},
		{"json-only-probes", lines, view.Options{Only: []string{"probe"}}},
	} {
		t.Run(test.file, func(t *testing.T) {
			golden(t, test.file+".txt", render(t, test.kind, test.opts, everyKind()))
		})
	}
}

// A run of requests ends with a table of them.
func TestExchanges(t *testing.T) {
	golden(t, "exchanges.txt", render(t, lanes, view.Options{Width: 80}, asked()))
}

// A lab begins with its question and ends with the answer.
func TestLab(t *testing.T) {
	golden(t, "lab.txt", render(t, lanes, view.Options{Width: 80}, labRecords()))
}

// Every source says what it is and what it cannot show.
func TestSources(t *testing.T) {
	var out bytes.Buffer
	for _, s := range []timeline.Source{timeline.AFPacket, timeline.UserNS, timeline.Counters, "pipe"} {
		for _, private := range []bool{false, true} {
			h := timeline.Header{Command: "demo", Version: "v1", Source: s, Settings: timeline.Settings{Private: private, HTTPSettings: &timeline.HTTPSettings{}}}
			if err := view.NewLanes(&out, view.Options{Width: 100}).Record(timeline.Record{Header: &h}); err != nil {
				t.Fatal(err)
			}
		}
	}
	golden(t, "sources.txt", out.Bytes())
}

var escape = regexp.MustCompile("\x1b\\[[0-9]+m")

// Colour adds escapes and nothing else.
func TestColor(t *testing.T) {
	for _, k := range []kind{lanes, list} {
		for _, records := range [][]timeline.Record{everyKind(), hostileRecords(), longRecords(), labRecords()} {
			for _, width := range []int{60, 80, 140} {
				without := render(t, k, view.Options{Width: width}, records)
				with := render(t, k, view.Options{Width: width, Color: true}, records)
				if bytes.ContainsRune(without, '\x1b') {
					t.Errorf("%s, %d columns: an escape without colour", k.name, width)
				}
				if !escape.Match(with) {
					t.Errorf("%s, %d columns: no colour", k.name, width)
				}
				if got := escape.ReplaceAll(with, nil); !bytes.Equal(got, without) {
					t.Errorf("%s, %d columns: without its escapes, colour gives\n%s\nwant\n%s", k.name, width, got, without)
				}
			}
		}
	}
}

// longRecords has text too long for any line.
func longRecords() []timeline.Record {
	long := strings.Repeat("long-", 500)
	words := strings.Repeat("word ", 500)
	s := &story{}
	s.records = append(s.records,
		timeline.Record{Header: &timeline.Header{
			Command: long, Version: long, Source: timeline.Source(words),
			Settings: timeline.Settings{Server: long, HTTPSettings: &timeline.HTTPSettings{Pauses: make([]timeline.Seconds, 100)}},
		}},
		timeline.Record{Step: &timeline.Step{Name: long, Text: words}})
	for _, text := range []string{long, words, "é" + long, "short "} {
		s.tcp(99_999_999, timeline.Client, "data", "SFRPAUEW", 1<<32-1, 1<<32-1, 1<<30, timeline.Event{Note: text, Nth: 1 << 30},
			request(text, text, text, true, at(1e9)), response(200, "HTTP/1.1", text, text))
		s.event(timeline.Event{At: at(99_999_999), Conn: 1_000_000, Lane: timeline.HTTP, Kind: "error", Note: text})
		s.event(timeline.Event{At: at(-99_999_999), Conn: 1_000_000, Lane: timeline.TCP, Kind: "probe", Nth: 1 << 30, Note: text})
	}
	bad := timeline.Message{Version: long, Connection: words, KeepAlive: long}
	s.records = append(s.records,
		timeline.Record{Exchange: &timeline.Exchange{
			N: 1 << 30, Conn: 1 << 30, Status: 300, Sent: bad, Got: bad, Why: long, Because: words, Location: long, Error: words, Idle: at(1e9), Connect: at(1e9),
		}},
		timeline.Record{Conn: &timeline.Conn{ID: 1 << 30, Requests: 1 << 30, Reused: 1 << 30, Probes: 1 << 30, ClosedBy: timeline.Side(long)}},
		timeline.Record{Summary: &timeline.Summary{Packets: 1 << 30, Dropped: 1 << 30, Verdicts: []string{long, words}}})
	return s.records
}

// No line of the lanes is wider than the terminal. Lines of a list are as long
// as they are, like tcpdump's; what stands around them is not.
func TestWidth(t *testing.T) {
	for _, k := range []kind{lanes, list} {
		for _, records := range [][]timeline.Record{everyKind(), hostileRecords(), longRecords(), labRecords()} {
			for _, width := range []int{60, 61, 80, 111, 112, 140, 300} {
				o := view.Options{Width: width, Summary: k.name == "list"}
				for line := range strings.Lines(string(render(t, k, o, records))) {
					if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
						t.Errorf("%s, %d columns: a line of %d: %s", k.name, width, n, line)
					}
				}
			}
		}
	}
	narrow, least := render(t, lanes, view.Options{}, everyKind()), render(t, lanes, view.Options{Width: 60}, everyKind())
	if !bytes.Equal(narrow, least) {
		t.Error("no width is not taken for the least one")
	}
}

// Whatever the network sends, a terminal gets printable characters.
func TestHostileText(t *testing.T) {
	for _, k := range []kind{lanes, list, lines} {
		for _, o := range []view.Options{{Width: 60}, {Width: 140}, {Width: 140, Only: []string{hostile}}, {Width: 140, Summary: true}} {
			for _, r := range string(render(t, k, o, hostileRecords())) {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Errorf("%s, %d columns: %U gets out", k.name, o.Width, r)
				}
			}
		}
	}
}

// The escapes of the JSON are JSON's own: a reader gets what was there.
func TestJSONReadsBack(t *testing.T) {
	in := append(everyKind(), longRecords()...)
	in = append(in, timeline.Record{Step: &timeline.Step{Name: "<&>", Text: "\x1b\x7f\u009b\u202e\U000e0041é\u2028\"\\"}})
	dec := json.NewDecoder(bytes.NewReader(render(t, lines, view.Options{}, in)))
	for i, want := range in {
		var got timeline.Record
		if err := dec.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("record %d: %+v, want %+v", i, got, want)
		}
	}
}

var tcpMeaning = regexp.MustCompile("data|probe|FIN")

// A message that a packet carries stands on its line, on a line of its own
// where a filter has taken the packet, and is never lost.
func TestHeldEvents(t *testing.T) {
	filtered := func(records []timeline.Record, kinds ...string) []timeline.Record {
		var left []timeline.Record
		for _, r := range records {
			for _, k := range kinds {
				if r.Event != nil && r.Event.Kind == k || r.Event == nil && k == "" {
					left = append(left, r)
				}
			}
		}
		return left
	}
	for _, k := range []kind{lanes, list} {
		for _, test := range []struct {
			name    string
			records []timeline.Record
			only    []string
			want    int // lines with a 200
			beside  bool
		}{
			{"all", everyKind(), nil, 2, true},
			{"only responses", everyKind(), []string{"response"}, 2, false},
			{"responses and probes", everyKind(), []string{"response", "probe"}, 2, false},
			// A file of records that has been filtered before.
			{"records without packets", filtered(everyKind(), "response"), nil, 2, false},
			{"records without packets, then others", filtered(everyKind(), "response", "probe", "fin"), nil, 2, false},
			{"records without packets, then the summary", filtered(everyKind(), "response", ""), nil, 2, false},
		} {
			// The last one is held until something else comes.
			records := append(test.records, timeline.Record{Step: &timeline.Step{}})
			text := string(render(t, k, view.Options{Width: 200, Only: test.only}, records))
			n := 0
			for line := range strings.Lines(text) {
				if !strings.Contains(line, " 200  ") {
					continue
				}
				n++
				if beside := tcpMeaning.MatchString(line); beside != test.beside {
					t.Errorf("%s, %s: beside its packet: %t, want %t: %s", k.name, test.name, beside, test.beside, line)
				}
			}
			if n != test.want {
				t.Errorf("%s, %s: %d responses, want %d:\n%s", k.name, test.name, n, test.want, text)
			}
		}
	}
}

// A failed write ends a view.
func TestWriteFails(t *testing.T) {
	broken := fmt.Errorf("broken")
	for _, k := range []kind{lanes, list, lines} {
		v := k.make(failing{broken}, view.Options{Width: 80})
		if err := v.Record(everyKind()[0]); err != broken {
			t.Errorf("%s: %v, want %v", k.name, err, broken)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func BenchmarkRecord(b *testing.B) {
	records := everyKind()
	for _, k := range []kind{lanes, list, lines} {
		b.Run(k.name, func(b *testing.B) {
			v := k.make(io.Discard, view.Options{Width: 120})
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if r := records[n%len(records)]; r.Event != nil {
					if err := v.Record(r); err != nil {
						b.Fatal(err)
					}
				}
				n++
			}
		})
	}
}
