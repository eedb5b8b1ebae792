package timeline

// Idle is the idle timeout of a URL, as it was measured.
type Idle struct {
	URL    string  `json:"url"`
	Server string  `json:"server,omitempty"` // the address that the connections were made to
	Status int     `json:"status,omitempty"` // of the first response
	How    IdleEnd `json:"how"`
	IdleTimes
	Announced string      `json:"announced"` // the header Keep-Alive, as sent
	Waited    Seconds     `json:"waited"`    // all in all
	Probed    *IdleProbed `json:"probed,omitempty"`
	Check     *IdleCheck  `json:"check,omitempty"`
}

// IdleEnd is how idle connections end.
type IdleEnd string

// The ends.
const (
	IdleFIN    IdleEnd = "fin"
	IdleRST    IdleEnd = "rst"
	IdleSilent IdleEnd = "silent" // only a request shows it
	IdleNone   IdleEnd = "none"   // as far as was waited
)

// IdleTimes are what connections of one kind have shown.
type IdleTimes struct {
	Timeout    Seconds `json:"timeout"` // 0 where none was found
	Spread     Seconds `json:"spread"`
	Samples    int     `json:"samples"`              // connections that it stands on
	AtLeast    Seconds `json:"at_least"`             // all of them have lasted that long
	Answer     string  `json:"answer,omitempty"`     // of a silent loss, to the late request
	Remaining  int     `json:"remaining,omitempty"`  // samples that were still open
	Unanswered int     `json:"unanswered,omitempty"` // samples that did not answer, though others did
	Failed     int     `json:"failed,omitempty"`     // samples without a first response, though others had one
}

// IdleProbed is the same measurement on connections with TCP keepalive.
type IdleProbed struct {
	How IdleEnd `json:"how"`
	IdleTimes
	Keepalive Keepalive `json:"settings"` // of their sockets
	Effect    string    `json:"effect"`   // what the probes do, in words
}

// IdleCheck is what was demanded of the timeout.
type IdleCheck struct {
	LongerThan Seconds `json:"longer_than"`
	Margin     Seconds `json:"margin"`
	OK         bool    `json:"ok"`
}
