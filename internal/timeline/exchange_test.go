package timeline

import (
	"fmt"
	"strings"
	"testing"
)

// The share of requests that reused a connection is rounded, but never to all.
func TestShare(t *testing.T) {
	for _, tc := range []struct{ n, reused, want int }{{3, 2, 67}, {3, 1, 33}, {2, 1, 50}, {1000, 999, 99}} {
		s := exchanges{n: tc.n, reused: tc.reused, conns: map[int]bool{1: true}}
		if got, want := s.verdicts()[0], fmt.Sprintf("%d reused one (%d %%)", tc.reused, tc.want); !strings.Contains(got, want) {
			t.Errorf("%d of %d: %q", tc.reused, tc.n, got)
		}
	}
}
