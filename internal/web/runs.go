package web

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Bounds of what the server keeps.
const (
	maxRuns    = 8        // to look at and compare
	maxGoing   = 4        // at a time
	maxRecords = 96 << 20 // bytes of one run's records
	maxSaid    = 4 << 10  // of what a run says beside them
)

var errBusy = fmt.Errorf("%d runs are going on; stop one of them first", maxGoing)

// runs are the last ones.
type runs struct {
	config Config
	dir    string // for files of packets
	own    string // the server's address: packets with the page are no part of what is watched

	mu    sync.Mutex
	last  int
	all   []*run
	ended bool
}

// A run is a kax that writes records, and what it has written.
type run struct {
	id      int
	ask     Ask
	name    string
	started time.Time
	folder  string // removed with it; or empty

	mu      sync.Mutex
	records [][]byte
	size    int
	more    chan struct{} // closed when something changes
	cmd     *exec.Cmd
	packets string // file; empty where there is none
	stopped bool
	full    bool
	over    chan struct{}
	done    bool
	code    int
	said    string
}

// state is a run as a page sees it.
type state struct {
	ID      int       `json:"id"`
	Name    string    `json:"name"`
	Ask     Ask       `json:"ask"`
	Started time.Time `json:"started"`
	Records int       `json:"records"`
	Done    bool      `json:"done"`
	Stopped bool      `json:"stopped"`
	Full    bool      `json:"full"`    // more came than is kept
	Packets bool      `json:"packets"` // there is a file of them
	Code    int       `json:"code"`
	Said    string    `json:"said"` // on standard error
}

func (rs *runs) list() []state {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	out := []state{}
	for _, r := range rs.all {
		out = append(out, r.state())
	}
	return out
}

func (rs *runs) find(id int) *run {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.all {
		if r.id == id {
			return r
		}
	}
	return nil
}

// start runs an experiment.
func (rs *runs) start(a Ask) (*run, error) {
	args, err := rs.config.Args(a, "")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(rs.dir, "run-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "packets.pcapng")
	with, err := rs.config.Args(a, file)
	if err == nil {
		r := &run{ask: a, name: a.Experiment, folder: dir, packets: file}
		// Where no packets may be had, counters are better than nothing.
		err = rs.add(r, "", with, args)
		if err == nil {
			return r, nil
		}
	}
	return nil, errors.Join(err, os.RemoveAll(dir))
}

// read shows a file, by its name in a folder that is the run's own, or empty.
func (rs *runs) read(name, folder, file string) (*run, error) {
	r := &run{name: name, folder: folder}
	return r, rs.add(r, folder, rs.config.Read(file))
}

// add makes room for a run, and begins it.
func (rs *runs) add(r *run, dir string, tries ...[]string) error {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	going, oldest := 0, -1
	for i, other := range rs.all {
		if !other.state().Done {
			going++
		} else if oldest < 0 {
			oldest = i
		}
	}
	if rs.ended || going >= maxGoing {
		return errBusy
	}
	rs.last++
	r.id, r.started, r.more, r.over = rs.last, time.Now(), make(chan struct{}), make(chan struct{})
	out, err := r.begin(rs.config.Command(tries[0]...), dir)
	if err != nil {
		return err
	}
	go r.follow(rs, dir, out, tries[1:])
	if len(rs.all) == maxRuns && oldest >= 0 {
		gone := rs.all[oldest]
		rs.all = append(rs.all[:oldest:oldest], rs.all[oldest+1:]...)
		_ = gone.remove() // the whole folder is removed in the end
	}
	rs.all = append(rs.all, r)
	return nil
}

// end stops everything.
func (rs *runs) end() {
	rs.mu.Lock()
	rs.ended = true
	all := rs.all
	rs.mu.Unlock()
	for _, r := range all {
		r.stop()
	}
	for _, r := range all {
		<-r.over
	}
}

func (r *run) remove() error {
	if r.folder == "" {
		return nil
	}
	return os.RemoveAll(r.folder)
}

// output is what a process writes.
type output struct {
	records io.Reader
	said    *tail
}

// begin starts a process.
func (r *run) begin(cmd *exec.Cmd, dir string) (output, error) {
	cmd.Dir = dir
	said := &tail{}
	cmd.Stderr = said
	records, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return output{}, fmt.Errorf("start kax: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cmd = cmd
	if r.stopped {
		r.interrupt()
	}
	return output{records, said}, nil
}

// exitUnable is kax's for what is not permitted.
const exitUnable = 4

// follow reads a process's records to its end. Nobody who looks at them is waited
// for.
func (r *run) follow(rs *runs, dir string, out output, tries [][]string) {
	left := leaving{own: rs.own}
	lines := bufio.NewReaderSize(out.records, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break // half a line is no record
		}
		if line = bytes.TrimSuffix(line, []byte("\n")); !left.out(line) {
			r.take(line)
		}
	}
	_ = r.cmd.Wait() // the exit code says it
	r.mu.Lock()
	code, again := r.cmd.ProcessState.ExitCode(), false
	if code == exitUnable && len(r.records) == 0 && len(tries) > 0 {
		again, r.packets = true, ""
	}
	r.mu.Unlock()
	if again {
		next, err := r.begin(rs.config.Command(tries[0]...), dir)
		if err == nil {
			r.follow(rs, dir, next, tries[1:])
			return
		}
		out.said.add(err.Error())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done, r.code, r.said = true, code, out.said.String()
	if info, err := os.Stat(r.packets); err != nil || info.Size() == 0 {
		r.packets = ""
	}
	close(r.more)
	close(r.over)
}

// take keeps a record, while there is room; the last ones, which sum up, always.
func (r *run) take(line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size > maxRecords && bytes.HasPrefix(line, []byte(`{"event"`)) {
		if !r.full {
			r.full = true
			r.interrupt()
		}
		return
	}
	r.records = append(r.records, line)
	r.size += len(line)
	close(r.more)
	r.more = make(chan struct{})
}

// after gives the records from a place on, at most so many, and what is closed when
// there is something new.
func (r *run) after(n, most int) (records [][]byte, done bool, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = min(max(n, 0), len(r.records))
	end := min(n+most, len(r.records))
	return r.records[n:end:end], r.done && end == len(r.records), r.more
}

func (r *run) state() state {
	r.mu.Lock()
	defer r.mu.Unlock()
	return state{
		ID: r.id, Name: r.name, Ask: r.ask, Started: r.started, Records: len(r.records), Done: r.done, Stopped: r.stopped, Full: r.full,
		Packets: r.done && r.packets != "", Code: r.code, Said: r.said,
	}
}

// patience is how long a run may take to end when it is asked to.
const patience = 10 * time.Second

// stop asks a run to end, as ^C does.
func (r *run) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done || r.stopped {
		return
	}
	r.stopped = true
	r.interrupt()
}

// interrupt is for who holds r.mu. A process that has ended takes no harm.
func (r *run) interrupt() {
	process := r.cmd.Process
	if runtime.GOOS == "windows" || process.Signal(os.Interrupt) != nil {
		_ = process.Kill()
		return
	}
	go func() {
		select {
		case <-r.over:
		case <-time.After(patience):
			_ = process.Kill()
		}
	}()
}

// tail keeps the beginning of what a process says: that has its reason.
type tail struct{ text strings.Builder }

func (t *tail) Write(b []byte) (int, error) {
	t.add(string(b))
	return len(b), nil
}

func (t *tail) add(s string) { t.text.WriteString(s[:min(len(s), maxSaid-min(t.text.Len(), maxSaid))]) }

func (t *tail) String() string { return t.text.String() }

// leaving leaves out the connections between a page and this server: to show them
// would make more of them.
type leaving struct {
	own   string
	conns map[int]bool
}

func (l *leaving) out(line []byte) bool {
	if !bytes.Contains(line, []byte(l.own)) && len(l.conns) == 0 {
		return false
	}
	var rec struct {
		Event *struct {
			Conn     int
			Src, Dst string
		}
		Conn *struct{ ID int }
	}
	if json.Unmarshal(line, &rec) != nil {
		return false
	}
	switch {
	case rec.Event != nil:
		if rec.Event.Src == l.own || rec.Event.Dst == l.own {
			if l.conns == nil {
				l.conns = map[int]bool{}
			}
			l.conns[rec.Event.Conn] = true
		}
		return l.conns[rec.Event.Conn]
	case rec.Conn != nil:
		gone := l.conns[rec.Conn.ID]
		delete(l.conns, rec.Conn.ID)
		return gone
	}
	return false
}
