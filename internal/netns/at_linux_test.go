package netns

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

func TestAt(t *testing.T) {
	t.Parallel()
	outside, err := id()
	if err != nil {
		t.Fatal(err)
	}
	var theirs, inside string
	var cmd *exec.Cmd
	inNamespace(t, func() (err error) {
		if theirs, err = id(); err != nil {
			return err
		}
		cmd = exec.Command("cat")
		in, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
		return cmd.Start()
	})
	if err := At(cmd.Process.Pid, func() (err error) { inside, err = id(); return err }); err != nil {
		t.Fatal(err)
	}
	if inside != theirs || inside == outside {
		t.Errorf("in %s, want %s; outside is %s", inside, theirs, outside)
	}
	if after, err := id(); err != nil || after != outside {
		t.Errorf("afterwards outside is %s, %v; want %s", after, err, outside)
	}
	want := errors.New("from inside")
	if err := At(cmd.Process.Pid, func() error { return want }); !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
	if err := At(cmd.Process.Pid, func() error { runtime.Goexit(); return nil }); err == nil {
		t.Error("no error of a function that did not return")
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	if err := At(gone.Process.Pid, func() error { t.Error("ran"); return nil }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a process that has ended: %v", err)
	}
}
