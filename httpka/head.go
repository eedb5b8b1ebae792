package httpka

// readHead reads into m the head of a message that an end of ours writes, and
// returns its length. m.FromServer says which kind it is. It is 0 where the end
// of the head is not there yet.
func readHead(b []byte, m *Message) (int, error) {
	if len(b) == 0 || m.FromServer && b[0] != 'H' {
		return 0, ErrNotHTTP
	}
	var f headFields
	n, err := new(headScan).read(b[:min(len(b), maxHead)], m, &f, new(lately), nil)
	switch {
	case err != nil:
		return 0, err
	case n == 0 && len(b) >= maxHead:
		return 0, ErrLong
	}
	m.Connection, m.KeepAlive = string(f.connection.value), string(f.keepAlive.value)
	return n, nil
}
