package main

import "fmt"

// filler is what bodies are of.
const filler = `{"id": 4711, "name": "a thing", "price": "12.50", "tags": ["new", "blue"]}, `

// request is a GET, or one time in eight a POST.
func (c *conn) request() []byte {
	method, size := "GET", 0
	if c.random.IntN(8) == 0 {
		method, size = "POST", 20+c.random.IntN(400)
	}
	c.content = fmt.Appendf(c.content[:0], "%s /api/items/%d?page=%d HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: generate/1\r\nAccept: application/json\r\n", method, c.random.IntN(100000), c.random.IntN(20))
	if size > 0 {
		c.content = fmt.Appendf(c.content, "Content-Type: application/json\r\nContent-Length: %d\r\n", size)
	}
	c.content = append(c.content, "\r\n"...)
	return c.fill(size)
}

// response is small as a rule, and one time in four up to four segments long.
// One in eight is chunked.
func (c *conn) response() []byte {
	size := 50 + c.random.IntN(1000)
	if c.random.IntN(4) == 0 {
		size = 1500 + c.random.IntN(4000)
	}
	const head = "HTTP/1.1 200 OK\r\nServer: generate\r\nDate: Fri, 02 Jan 2026 03:04:05 GMT\r\nContent-Type: application/json\r\nConnection: keep-alive\r\n"
	if c.random.IntN(8) == 0 {
		c.content = fmt.Appendf(c.content[:0], head+"Transfer-Encoding: chunked\r\n\r\n%x\r\n", size)
		return append(c.fill(size), "\r\n0\r\n\r\n"...)
	}
	c.content = fmt.Appendf(c.content[:0], head+"Content-Length: %d\r\n\r\n", size)
	return c.fill(size)
}

// fill adds so many bytes of a body.
func (c *conn) fill(size int) []byte {
	for size > 0 {
		n := min(size, len(filler))
		c.content = append(c.content, filler[:n]...)
		size -= n
	}
	return c.content
}
