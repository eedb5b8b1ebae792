package timeline

// Known is how many connections are remembered.
func (t *Tracker) Known() int { return len(t.conns.byKey) }
