package lab

import (
	"errors"
	"strings"
	"testing"
)

// What the kernel lacks is named, and is no failure of the lab.
func TestLacks(t *testing.T) {
	l := Lab{Name: "nat", Needs: []Need{{"nf_tables", func() error { return nil }}}}
	if err := l.Lacks(); err != nil {
		t.Error(err)
	}
	l.Needs = append(l.Needs, Need{"nf_conntrack", func() error { return errors.New("no such file or directory") }})
	if err := l.Lacks(); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "lab nat needs nf_conntrack") {
		t.Error(err)
	}
}
