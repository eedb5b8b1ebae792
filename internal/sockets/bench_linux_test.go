package sockets

import "testing"

// datagram is what the kernel sends of a table: n sockets, each 392 bytes long
// as on Linux 6.18.
func datagram(n int) []byte {
	var b []byte
	for range n {
		b = append(b, message(established4, infoOf(1000, 2000, 3000, 4, 5))...)
	}
	return b
}

func TestReadDiagAllocatesNothing(t *testing.T) {
	b, n := datagram(64), 0
	var s Socket
	count := func(*Socket) { n++ }
	allocs := testing.AllocsPerRun(100, func() { _, _ = readDiag(b, &s, count) })
	if allocs != 0 || n != 64*101 {
		t.Errorf("%v allocations for %d sockets", allocs, n)
	}
}

func BenchmarkReadDiag(b *testing.B) {
	const n = 64
	data := datagram(n)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	var s Socket
	seen := 0
	for b.Loop() {
		if _, err := readDiag(data, &s, func(*Socket) { seen++ }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(seen), "ns/socket")
}

func BenchmarkFindInode(b *testing.B) {
	list := make([]*Socket, 50_000)
	for i := range list {
		list[i] = &Socket{inode: uint32(i*7 + 1)}
	}
	x := indexInodes(list)
	b.ReportAllocs()
	found := 0
	for i := 0; b.Loop(); i++ {
		x.find(uint32(i%50_000*7+1), func(int) { found++ })
	}
}
