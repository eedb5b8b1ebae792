package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"kax/internal/timeline"
)

// Times of a stream.
const (
	streamBeat = 15 * time.Second // something is sent at least so often: who is gone shows
	streamWait = 30 * time.Second // how long a browser may take for what it is sent
	streamMost = 500              // records in one event
)

// stream sends a run's records as server-sent events (HTML, section 9.2). An
// event's id is the number of records up to it, so that who comes again goes on
// from there.
func stream(w http.ResponseWriter, req *http.Request, r *run) {
	last := req.Header.Get("Last-Event-ID")
	if last == "" {
		last = req.URL.Query().Get("after") // a new EventSource cannot send the header
	}
	n, _ := strconv.Atoi(last) // without one from the beginning
	n = max(n, 0)
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	for {
		records, done, more := r.after(n, streamMost)
		n += len(records)
		_ = out.SetWriteDeadline(time.Now().Add(streamWait)) // where it cannot be set, the beat finds out
		var err error
		switch {
		case len(records) > 0:
			err = sendRecords(w, n, records)
		case done:
			_ = sendEnd(w, r.state()) // nobody else is told
			return
		default:
			_, err = fmt.Fprint(w, ": \n\n")
		}
		if err == nil && (len(records) < streamMost || done) {
			err = out.Flush()
		}
		if err != nil {
			return
		}
		if len(records) > 0 {
			continue
		}
		select {
		case <-more:
		case <-beat.C:
		case <-req.Context().Done():
			return
		}
	}
}

func sendRecords(w http.ResponseWriter, n int, records [][]byte) error {
	b := fmt.Appendf(nil, "id: %d\ndata: [", n)
	for i, line := range records {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, line...) // without line ends in it, as JSON is
	}
	_, err := w.Write(append(b, "]\n\n"...))
	return err
}

func sendEnd(w http.ResponseWriter, s state) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "event: end\ndata: %s\n\n", b)
	return err
}

// each gives the run's records, as far as there are, to f.
func (r *run) each(f func(timeline.Record) error) error {
	for n := 0; ; {
		lines, _, _ := r.after(n, streamMost)
		if len(lines) == 0 {
			return nil
		}
		for _, line := range lines {
			var rec timeline.Record
			if err := json.Unmarshal(line, &rec); err != nil {
				return fmt.Errorf("record %d: %w", n+1, err)
			}
			if err := f(rec); err != nil {
				return err
			}
			n++
		}
	}
}

// serveFields gives the fields of the run's packets.
func serveFields(w http.ResponseWriter, _ *http.Request, r *run) {
	var f fields
	err := r.each(func(rec timeline.Record) error {
		switch {
		case rec.Header != nil:
			f.started = rec.Header.Started
		case rec.Event != nil && rec.Event.Frame != nil:
			f.take(rec.Event)
		}
		return nil
	})
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer(w, f.table())
}

// download gives a run's files.
func download(w http.ResponseWriter, req *http.Request, r *run) {
	s := r.state()
	file := req.PathValue("file")
	if !s.Done {
		refuse(w, http.StatusConflict, "the run is still going on")
		return
	}
	as := func(kind, ext string) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="kax-%s-%d.%s"`, harmless(s.Name), s.ID, ext))
	}
	switch {
	case file == "records.jsonl":
		as("application/jsonl", "jsonl")
		for n := 0; ; {
			lines, _, _ := r.after(n, streamMost)
			for _, line := range lines {
				if _, err := w.Write(append(line[:len(line):len(line)], '\n')); err != nil {
					return
				}
			}
			if n += len(lines); len(lines) == 0 {
				return
			}
		}
	case file == "report.html":
		as("text/html; charset=utf-8", "html")
		to := newReport(w)
		if err := r.each(to.Record); err == nil {
			_ = to.Close() // who loads it sees that it is cut
		}
	case file == "packets.pcapng" && s.Packets:
		as("application/x-pcapng", "pcapng")
		http.ServeFile(w, req, r.packets)
	default:
		refuse(w, http.StatusNotFound, "there is no such file")
	}
}
