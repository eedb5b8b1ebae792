package timeline_test

import (
	"encoding"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"kax/internal/timeline"
)

// The tables of docs/reference/records.md name every key and every kind; and their
// first columns have nothing else.
func TestRecordsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/reference/records.md")
	if err != nil {
		t.Fatal(err)
	}
	var tables strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "|") {
			tables.WriteString(line)
		}
	}
	known := map[string]bool{}
	demand := func(what, name string) {
		known[name] = true
		if !strings.Contains(tables.String(), "`"+name+"`") && !strings.Contains(string(text), "## "+name+"\n") {
			t.Errorf("docs/reference/records.md does not say what the %s %q is", what, name)
		}
	}
	for _, kind := range timeline.Kinds() {
		demand("kind", kind)
	}
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] || writesItself(typ) {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				demand("key", name)
			} else if !f.Anonymous {
				t.Errorf("%s.%s has no key", typ, f.Name)
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[timeline.Record]())
	n := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			if n++; !known[m[1]] {
				t.Errorf("docs/reference/records.md says what %q is, and no record has it", m[1])
			}
		}
	}
	if n < 100 {
		t.Errorf("%d keys and kinds in tables", n)
	}
}

func writesItself(typ reflect.Type) bool {
	return typ.Implements(reflect.TypeFor[json.Marshaler]()) || typ.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

// The examples in docs/reference/records.md are records.
func TestDocumentedRecords(t *testing.T) {
	text, err := os.ReadFile("../../docs/reference/records.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		n++
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		var r timeline.Record
		if err := dec.Decode(&r); err != nil {
			t.Errorf("%v: %s", err, line)
		}
	}
	if n == 0 {
		t.Error("no examples")
	}
}
