package view

// style is an ANSI rendition (ECMA-48 SGR). It never carries a meaning that
// the text does not.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

func (o Options) paint(s style, text string) string {
	if !o.Color || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

func styleOf(kind string) style {
	switch kind {
	case "probe", "probe-answer":
		return cyan
	case "window-probe", "window-probe-answer":
		return yellow
	case "rst", "retransmission", "error", "retry":
		return red
	case "ack", "syn", "syn-ack", "established":
		return dim
	case "request", "response":
		return green
	case "fin", "idle-close":
		return yellow
	}
	return plain
}
