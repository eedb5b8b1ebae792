package timeline

// A Proof is what a verdict stands on: numbers of packets and of connections, the
// first of them where there are many.
type Proof struct {
	Packets []int `json:"packets,omitempty"`
	Conns   []int `json:"conns,omitempty"`
}

// maxProof is how many packets, or connections, a reader may want to look at.
const maxProof = 64

// packet adds a packet; 0 is none.
func (p *Proof) packet(numbers ...int) {
	for _, n := range numbers {
		if n > 0 && len(p.Packets) < maxProof {
			p.Packets = append(p.Packets, n)
		}
	}
}

// conn adds a connection, which may be there already.
func (p *Proof) conn(id int) {
	if n := len(p.Conns); n < maxProof && (n == 0 || p.Conns[n-1] != id) {
		p.Conns = append(p.Conns, id)
	}
}

func (p *Proof) add(packet, conn int) {
	p.packet(packet)
	p.conn(conn)
}

// proofs are those of verdicts that speak of more than one connection.
type proofs struct {
	requests Proof // all of them
	fresh    Proof // the first request of each connection
	reuse    Proof // the requests of connections that carried several
	close    Proof // the messages that said close
	lost     Proof // requests that the server's close met
	probes   Proof
	answered Proof // probes and their answers
	window   Proof // zero-window probes
	idledOut Proof // the last response, the last answered probe, and the close
}

// request notes a request, the nth of its connection.
func (p *proofs) request(c *conn, packet int) {
	p.requests.add(packet, c.rec.ID)
	switch c.rec.Requests {
	case 1:
		p.fresh.add(packet, c.rec.ID)
		c.firstRequest = packet
	case 2:
		p.reuse.add(c.firstRequest, c.rec.ID)
		fallthrough
	default:
		p.reuse.add(packet, c.rec.ID)
	}
	c.lastRequest = packet
}

// over notes what only the end of a connection shows.
func (p *proofs) over(c *conn) {
	id := c.rec.ID
	if c.saidClose != "" && c.rec.Requests == 1 {
		p.close.add(c.saidCloseIn, id)
	}
	if c.rec.Requests > c.served() && c.rec.ClosedBy == Server {
		p.lost.add(c.lastRequest, id)
	}
	if c.idleClosed != 0 && c.lastResponse != 0 {
		p.idledOut.add(c.lastResponseIn, id)
		if c.answeredLast > c.lastResponse {
			p.idledOut.packet(c.answeredLastIn)
		}
		p.idledOut.packet(c.idleClosedIn)
	}
}

// conns proves by connections alone.
func (s *ids) proof() Proof {
	return Proof{Conns: append([]int(nil), s.first[:min(s.n, len(s.first))]...)}
}
