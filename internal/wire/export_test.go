package wire

// The bounds of a Decoder, for the tests that hold it to them.
const (
	MaxDatagrams = maxDatagrams
	MaxHeld      = maxHeld
)

// Held returns what a Decoder holds, counted anew: datagrams, and bytes.
func (d *Decoder) Held() (datagrams, bytes int) {
	for _, g := range d.held {
		for _, p := range g.pieces {
			bytes += len(p.data) + pieceCost
		}
	}
	if bytes != d.bytes {
		panic("the Decoder has lost count of what it holds")
	}
	return len(d.held), bytes
}
