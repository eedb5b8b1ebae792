// Package pictures_test makes the pictures of this folder: kax runs, and a browser
// draws its report. They are written anew by
//
//	go test ./docs/pictures -update
//
// and not by go generate, as no two runs take the same microseconds.
package pictures_test

import (
	"bytes"
	"flag"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"kax/internal/browser"
	"kax/internal/cli"
)

var update = flag.Bool("update", false, "write the pictures")

// The test binary is kax too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "demo" {
		os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// The report of a demo, in a window of this size.
func TestDemo(t *testing.T) {
	const width, height = 1280, 860
	report := filepath.Join(t.TempDir(), "demo.html")
	p := browser.Open(t)
	if out, err := exec.Command("/proc/self/exe", "demo", "--netns", "--summary", "--report", report).CombinedOutput(); err != nil {
		t.Fatalf("kax demo: %v\n%s", err, out)
	}
	p.View(width, height, "light")
	p.Go("file://" + report)
	shot := p.Shot()
	if err := p.Complaints(); err != nil {
		t.Error(err)
	}
	if *update {
		if err := os.WriteFile("demo.png", shot, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile("demo.png")
	if err != nil {
		t.Fatal(err)
	}
	is, err := png.DecodeConfig(bytes.NewReader(kept))
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := png.DecodeConfig(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	if is.Width != drawn.Width || is.Height != drawn.Height {
		t.Errorf("demo.png is of %d by %d pixels; now it would be %d by %d: make it anew", is.Width, is.Height, drawn.Width, drawn.Height)
	}
}
