package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"

	"kax/internal/timeline"
)

// Config is what a page offers, and how that is done: commands, and what their
// settings mean, are not known here.
type Config struct {
	Version     string
	Experiments []Experiment
	// Args is the command line for what a page asks for, from values that were
	// checked; the packets go to the file write, if that is not empty.
	Args func(a Ask, write string) ([]string, error)
	// Read is the command line that shows a capture or records.
	Read func(file string) []string
	// Predict says what will happen.
	Predict func(a Ask) (*Prediction, error)
	// Command is kax with these arguments; its standard output has records.
	Command func(args ...string) *exec.Cmd
	Log     *log.Logger
}

// An Experiment is something that can be run.
type Experiment struct {
	Name     string    `json:"name"`
	Title    string    `json:"title"`
	Group    string    `json:"group"`
	Question string    `json:"question"`
	Topology string    `json:"topology,omitempty"`
	Settings []Setting `json:"settings"`
	Unable   string    `json:"unable,omitempty"` // why it cannot run here
	Live     bool      `json:"live,omitempty"`   // it has no end of its own
}

// A Setting is one of those that an experiment has.
type Setting struct {
	Name    string   `json:"name"`
	Label   string   `json:"label"`
	Kind    string   `json:"kind"` // duration, durations, number, switch, choice
	Value   string   `json:"value"`
	Choices []string `json:"choices,omitempty"`
	Needs   string   `json:"needs,omitempty"` // the switch without which it says nothing
}

// An Ask is what a page asks for.
type Ask struct {
	Experiment string            `json:"experiment"`
	Settings   map[string]string `json:"settings"`
}

// A Prediction is what a page draws before a run.
type Prediction struct {
	Plan        *timeline.Plan     `json:"plan"`
	IdleTimeout timeline.Seconds   `json:"idle_timeout,omitempty"`
	Pauses      []timeline.Seconds `json:"pauses"`
	Refused     string             `json:"refused,omitempty"` // why the settings cannot be had
}

// A Server serves the page.
type Server struct {
	config   Config
	listener net.Listener
	guard    *guard
	runs     *runs
}

// NewServer makes a server for connections to l, which listens on loopback.
func NewServer(l net.Listener, c Config) (*Server, error) {
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "kax-ui-")
	if err != nil {
		return nil, fmt.Errorf("a folder for captures: %w", err)
	}
	return &Server{config: c, listener: l, guard: newGuard(host, port), runs: &runs{config: c, dir: dir, own: l.Addr().String()}}, nil
}

// URL lets one browser in.
func (s *Server) URL() string {
	return "http://" + s.listener.Addr().String() + "/?token=" + s.guard.token
}

// Open shows a file from the beginning.
func (s *Server) Open(file string) error {
	_, err := s.runs.read(path.Base(file), "", file)
	return err
}

// Close ends what was begun without [Server.Serve].
func (s *Server) Close() error {
	s.runs.end()
	return errors.Join(s.listener.Close(), os.RemoveAll(s.runs.dir))
}

// Serve serves until ctx ends; then nothing of it is left.
func (s *Server) Serve(ctx context.Context) error {
	srv := &http.Server{Handler: s.guard.wrap(s.handler()), ReadHeaderTimeout: 10 * time.Second, ErrorLog: s.config.Log, MaxHeaderBytes: 1 << 16}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(s.listener) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	s.runs.end()
	return errors.Join(err, srv.Close(), os.RemoveAll(s.runs.dir)) // streams end with their connections
}

// served are the files of the page.
var served = append([]string{"style.css", "ui.css", "icon.svg"}, uiScripts...)

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, uiPage())
	})
	for _, name := range served {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, page, "page/"+name) })
	}
	mux.HandleFunc("GET /menu", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"version": s.config.Version, "experiments": s.config.Experiments, "upload": maxUpload})
	})
	mux.HandleFunc("GET /runs", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.runs.list()) })
	mux.HandleFunc("POST /predict", s.predict)
	mux.HandleFunc("POST /runs", s.start)
	mux.HandleFunc("POST /captures", s.upload)
	mux.HandleFunc("POST /runs/{id}/stop", s.of(func(w http.ResponseWriter, _ *http.Request, r *run) {
		r.stop()
		answer(w, r.state())
	}))
	mux.HandleFunc("GET /runs/{id}/events", s.of(stream))
	mux.HandleFunc("GET /runs/{id}/fields", s.of(serveFields))
	mux.HandleFunc("GET /runs/{id}/{file}", s.of(download))
	return mux
}

// of finds the run that a request is about.
func (s *Server) of(f func(http.ResponseWriter, *http.Request, *run)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.Atoi(r.PathValue("id"))
		found := s.runs.find(id)
		if err != nil || found == nil {
			refuse(w, http.StatusNotFound, "this run is no longer kept")
			return
		}
		f(w, r, found)
	}
}

// maxAsk bounds what a page asks with.
const maxAsk = 1 << 16

// asked reads what a page asks for.
func asked(w http.ResponseWriter, r *http.Request) (a Ask, ok bool) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAsk))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		refuse(w, http.StatusBadRequest, "not understood: "+err.Error())
		return a, false
	}
	return a, true
}

func (s *Server) predict(w http.ResponseWriter, r *http.Request) {
	a, ok := asked(w, r)
	if !ok {
		return
	}
	p, err := s.config.Predict(a)
	if err != nil {
		p = &Prediction{Refused: err.Error()} // no failure: somebody is still typing
	}
	answer(w, p)
}

func (s *Server) start(w http.ResponseWriter, r *http.Request) {
	a, ok := asked(w, r)
	if !ok {
		return
	}
	started, err := s.runs.start(a)
	s.begun(w, started, err)
}

func (s *Server) begun(w http.ResponseWriter, r *run, err error) {
	switch {
	case errors.Is(err, errBusy):
		refuse(w, http.StatusTooManyRequests, err.Error())
	case err != nil:
		refuse(w, http.StatusUnprocessableEntity, err.Error())
	default:
		answer(w, r.state())
	}
}

// maxUpload bounds a capture that is opened on the page.
const maxUpload = 64 << 20

// upload keeps a capture in a folder of the server's own, by a name of which only
// harmless characters are left, and shows it.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	name := harmless(r.URL.Query().Get("name"))
	dir, err := os.MkdirTemp(s.runs.dir, "capture-")
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	err = save(path.Join(dir, name), http.MaxBytesReader(w, r.Body, maxUpload))
	var started *run
	if err == nil {
		started, err = s.runs.read(name, dir, name)
	}
	if err != nil {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if big := (*http.MaxBytesError)(nil); errors.As(err, &big) {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("%s is larger than %d MiB; kax ui FILE takes any size", name, big.Limit>>20))
		return
	}
	s.begun(w, started, err)
}

func save(name string, from io.Reader) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// harmless is the last part of a name, without what means something to a shell, a
// terminal or a command line.
func harmless(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, name)
	name = strings.TrimLeft(name[:min(len(name), 100)], ".-")
	if name == "" {
		return "capture"
	}
	return name
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // an end shows at the other end
}

// refuse says why not, as text.
func refuse(w http.ResponseWriter, status int, why string) { http.Error(w, "kax: "+why, status) }
