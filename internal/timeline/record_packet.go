package timeline

import "encoding/hex"

// A Packet is one frame, taken apart.
type Packet struct {
	Number  int      `json:"number"` // in its file, from 1
	Link    string   `json:"link"`   // how the frame begins
	Frame   Bytes    `json:"frame"`  // as captured
	Layers  []Layer  `json:"layers"`
	Meaning []string `json:"meaning"` // in sentences
}

// A Layer is a protocol's part of a frame. Its text and fields are worded as
// Wireshark words them.
type Layer struct {
	Name string `json:"name"` // as Wireshark abbreviates the protocol: ip, tcp
	Field
}

// A Field is one value, or what several have in common.
type Field struct {
	Text   string  `json:"text"`
	Offset int     `json:"offset"` // in the frame, bytes
	Length int     `json:"length"` // 0 where no bytes of this frame say it
	Fields []Field `json:"fields,omitempty"`
}

// Bytes are written as hexadecimal digits.
type Bytes []byte

// MarshalText writes two digits a byte.
func (b Bytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, b), nil }

// UnmarshalText reads them.
func (b *Bytes) UnmarshalText(text []byte) error {
	var err error
	*b, err = hex.AppendDecode((*b)[:0], text)
	return err
}
