package web

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"

	"kax/internal/timeline"
)

// A Report is a view that writes one self-contained HTML file. It writes records
// as they come and keeps little, so that what an end by force leaves can still be
// read; [Report.Close] makes it whole.
type Report struct {
	file   *os.File
	fresh  bool // the file was not there before
	out    *bufio.Writer
	begun  bool
	size   int64 // of the records
	line   bytes.Buffer
	enc    *json.Encoder
	fields fields
}

// Open opens the file of a report. What is in it stays until there is a record to
// write.
func Open(name string) (*Report, error) {
	_, err := os.Stat(name)
	fresh := errors.Is(err, os.ErrNotExist)
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err // names the file
	}
	r := newReport(f)
	r.file, r.fresh = f, fresh
	return r, nil
}

func newReport(w io.Writer) *Report {
	r := &Report{out: bufio.NewWriterSize(w, 1<<16)}
	r.enc = json.NewEncoder(&r.line) // escapes <, >, & and the line ends of JavaScript: a script element holds it
	return r
}

// Is reports whether the report's file is another one, by another name.
func (r *Report) Is(other os.FileInfo) bool {
	own, err := r.file.Stat()
	return err == nil && os.SameFile(own, other)
}

// Bounds of what is kept of a frame. What is taken apart has nearly all HTTP heads;
// what the report shows byte by byte, and may have a hundred thousand of, is less.
const (
	maxTakenApart = 3584
	maxShown      = 512
)

// Record writes r.
func (r *Report) Record(rec timeline.Record) error {
	before := ",\n"
	if !r.begun {
		r.begun, before = true, ""
		if err := r.begin(); err != nil {
			return err
		}
	}
	if e := rec.Event; e != nil && e.Frame != nil {
		r.fields.take(e)
		if len(e.Bytes) > maxShown {
			cut, frame := *e, *e.Frame
			frame.Bytes = frame.Bytes[:maxShown]
			cut.Frame, rec.Event = &frame, &cut
		}
	} else if rec.Header != nil {
		r.fields.started = rec.Header.Started
	}
	r.line.Reset()
	if err := r.enc.Encode(rec); err != nil {
		return err
	}
	text := bytes.TrimSuffix(r.line.Bytes(), []byte("\n"))
	r.size += int64(len(before) + len(text))
	_, err := r.out.WriteString(before)
	if err == nil {
		_, err = r.out.Write(text)
	}
	return err
}

// maxOpened is what a browser can open: records are one text of the page, and V8's
// texts end before 512 MiB (v8::String::kMaxLength, 2026).
const maxOpened = 1<<29 - 24

// Opens is how many bytes of records the report has by now, and whether a browser
// can open so much.
func (r *Report) Opens() (size int64, ok bool) { return r.size, r.size <= maxOpened }

func (r *Report) begin() error {
	if r.file != nil && regular(r.file) {
		if err := r.file.Truncate(0); err != nil {
			return err
		}
	}
	before, _ := shell()
	_, err := r.out.WriteString(before + `<script type="application/json" id="records">[` + "\n")
	return err
}

// regular reports that a file can be cut, as a device or a pipe cannot.
func regular(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

// Close completes the file. Without any record it leaves what was there.
func (r *Report) Close() error {
	err := r.end()
	if r.file == nil {
		return err
	}
	err = errors.Join(err, r.file.Close())
	if !r.begun && r.fresh {
		err = errors.Join(err, os.Remove(r.file.Name()))
	}
	return err
}

func (r *Report) end() error {
	if !r.begun {
		return nil
	}
	_, after := shell()
	r.line.Reset()
	if err := r.enc.Encode(r.fields.table()); err != nil {
		return err
	}
	_, err := r.out.WriteString("\n]</script>\n" + `<script type="application/json" id="fields">` + r.line.String() + "</script>\n" + after)
	return errors.Join(err, r.out.Flush())
}
