package timeline

// Known is how many connections are remembered.
func (t *Tracker) Known() int { return len(t.conns.byKey) }

// Held is how many bytes wait for others before them.
func (t *Tracker) Held() int { return t.held }
