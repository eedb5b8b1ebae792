// Package hosts makes machines of network namespaces: hosts with links between
// them, routers that forget connections, and loss. All of it needs CAP_SYS_ADMIN
// and CAP_NET_ADMIN, which a user namespace of one's own gives, and Linux.
package hosts

import "time"

// A NAT says how a router treats connections.
type NAT struct {
	// Forget is how long it remembers an idle one, in whole seconds
	// (nf_conntrack_tcp_timeout_established).
	Forget time.Duration

	// Leaky has the router forward what it does not know, without translating
	// it. Otherwise it drops that without a word.
	Leaky bool
}
