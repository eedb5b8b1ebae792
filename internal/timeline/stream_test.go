package timeline

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// taken writes down what a stream hands on.
type taken struct{ bytes.Buffer }

func (t *taken) bytes(b []byte) { t.Write(b) }
func (t *taken) gap(n int)      { fmt.Fprintf(&t.Buffer, "[%d]", n) }

func TestStream(t *testing.T) {
	const text = "abcdefghijklmnopqrstuvwxyz"
	// part is what stands at an offset of text, of which the last bytes were not
	// captured.
	part := func(from, to, lost int) piece {
		return piece{1000 + uint32(from), to - from, []byte(text[from : to-lost])}
	}
	for _, tt := range []struct {
		name string
		do   func(*stream, *taken)
		want string
	}{
		{"in order", func(s *stream, to *taken) {
			s.take(to, part(0, 3, 0))
			s.take(to, part(3, 6, 0))
		}, "abcdef"},
		{"again, and overlapping", func(s *stream, to *taken) {
			s.take(to, part(0, 3, 0))
			s.take(to, part(0, 3, 0))
			s.take(to, part(1, 6, 0))
			s.take(to, part(2, 4, 0))
		}, "abcdef"},
		{"out of order", func(s *stream, to *taken) {
			s.take(to, part(6, 9, 0))
			s.take(to, part(3, 6, 0))
			s.take(to, part(4, 8, 0))
			s.take(to, part(0, 3, 0))
		}, "abcdefghi"},
		{"cut by the capture", func(s *stream, to *taken) {
			s.take(to, part(0, 6, 2))
			s.take(to, part(6, 9, 0))
		}, "abcd[2]ghi"},
		{"cut, and again as a whole", func(s *stream, to *taken) {
			s.take(to, part(3, 6, 2))
			s.take(to, part(0, 3, 0))
			s.take(to, part(0, 9, 0))
		}, "abcd[2]ghi"},
		{"acknowledged, and never captured", func(s *stream, to *taken) {
			s.take(to, part(6, 9, 0))
			s.ack(to, 1005)
			s.take(to, part(9, 12, 0))
			s.ack(to, 1009)
		}, "[6]ghijkl"},
		{"acknowledged before", func(s *stream, to *taken) {
			s.ack(to, 1006)
			s.take(to, part(6, 9, 0))
		}, "[6]ghi"},
		{"missing at the end", func(s *stream, to *taken) {
			s.take(to, part(3, 6, 0))
			s.take(to, part(9, 12, 0))
			s.finish(to)
		}, "[3]def[3]jkl"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var (
				total int
				to    taken
			)
			s := stream{total: &total}
			s.starts(1000)
			tt.do(&s, &to)
			if got := to.String(); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if len(s.held) != 0 || s.size != 0 || total != 0 {
				t.Errorf("%d pieces of %d bytes are held, %d in all", len(s.held), s.size, total)
			}
		})
	}
}

// However segments are cut and mixed, the bytes come out once and in order, also
// where the numbers wrap around.
func TestStreamMixed(t *testing.T) {
	text := make([]byte, 5000)
	for i := range text {
		text[i] = byte('a' + i%26)
	}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		first := uint32(0) - uint32(random.IntN(5000))
		var pieces []piece
		for from := 0; from < len(text); {
			to := min(from+1+random.IntN(300), len(text))
			back := min(from, random.IntN(50))
			pieces = append(pieces, piece{first + uint32(from-back), to - from + back, text[from-back : to]})
			from = to
		}
		for i := range pieces { // nearby segments change places
			j := min(len(pieces)-1, i+random.IntN(5))
			pieces[i], pieces[j] = pieces[j], pieces[i]
		}
		var (
			total int
			to    taken
		)
		s := stream{total: &total}
		s.starts(first)
		for _, p := range pieces {
			s.take(&to, p)
		}
		if !bytes.Equal(to.Bytes(), text) || total != 0 {
			t.Fatalf("seed %d: %d bytes, %d held: %.60q", seed, to.Len(), total, to.String())
		}
	}
}

// A stream holds no more than its bounds, and all of them together no more than
// theirs.
func TestStreamBounds(t *testing.T) {
	total := 0
	big := bytes.Repeat([]byte("x"), 60_000)
	streams := make([]stream, 40)
	for i := range streams {
		s := &streams[i]
		s.total = &total
		s.starts(0)
		for j := range uint32(30) {
			s.take(&taken{}, piece{1 + j*70_000, len(big), big})
			if s.size > maxHeld || total > maxHeldAll {
				t.Fatalf("stream %d holds %d bytes, all hold %d", i, s.size, total)
			}
		}
	}
	s := stream{total: &total}
	s.starts(0)
	for j := range uint32(3 * maxPieces) {
		s.take(&taken{}, piece{1 + 2*j, 1, big[:1]})
	}
	if len(s.held) > maxPieces {
		t.Errorf("%d pieces are held", len(s.held))
	}
	for i := range streams {
		streams[i].drop()
	}
	if s.drop(); total != 0 {
		t.Errorf("%d bytes are counted, and none is held", total)
	}
}
