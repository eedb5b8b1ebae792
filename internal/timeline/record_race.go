package timeline

// Race is what became of requests at the edge of an idle timeout.
type Race struct {
	URL     string       `json:"url"`
	At      Seconds      `json:"at"` // the timeout
	Span    Seconds      `json:"span"`
	Step    Seconds      `json:"step"`
	Methods []RaceMethod `json:"methods"`
}

// RaceMethod is what became of those of one method.
type RaceMethod struct {
	Method string `json:"method"`
	RaceCount
	Failures map[string]int `json:"failures,omitempty"` // by what the client said
	Offsets  []RaceOffset   `json:"offsets"`
}

// RaceOffset is what became of those of one method at one offset.
type RaceOffset struct {
	Offset Seconds `json:"offset"` // from the timeout; later is positive
	RaceCount
}

// RaceCount counts requests.
type RaceCount struct {
	Fine    int `json:"fine"`    // answered on the idle connection
	Fresh   int `json:"fresh"`   // on a new one: the client had noticed the end of the old
	Retried int `json:"retried"` // lost, and sent again by the client itself
	Failed  int `json:"failed"`
}

// Add counts one more.
func (c *RaceCount) Add(outcome string) {
	switch outcome {
	case "fine":
		c.Fine++
	case "fresh":
		c.Fresh++
	case "retried":
		c.Retried++
	case "failed":
		c.Failed++
	}
}

// Sent is all of them.
func (c RaceCount) Sent() int { return c.Fine + c.Fresh + c.Retried + c.Failed }
