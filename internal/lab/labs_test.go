package lab

import (
	"errors"
	"strings"
	"testing"
)

// What the kernel lacks is named, and is no failure of the lab.
func TestLacks(t *testing.T) {
	l := Lab{Name: "nat", alone: true, Needs: []Need{{"nftables", "nf_tables", func() error { return nil }}}}
	if err := l.Lacks(); err != nil {
		t.Error(err)
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{errors.New("refused"), "lab nat needs nf_conntrack: refused"},
		{errors.ErrUnsupported, "lab nat needs nf_conntrack, which this kernel has not (modules: nf_conntrack, nft_ct)"},
	} {
		l.Needs = append(l.Needs[:1], Need{"nf_conntrack", "nf_conntrack, nft_ct", func() error { return test.err }})
		if err := l.Lacks(); !errors.Is(err, errors.ErrUnsupported) || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%v: %v, want %q", test.err, err, test.want)
		}
	}
}
