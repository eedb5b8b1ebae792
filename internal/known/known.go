// Package known lists the idle timeouts of middleboxes, servers and clients that
// people meet, and whether a TCP keepalive probe counts as traffic there.
package known

import "time"

// A Kind is what a system is to the connection. It decides whether the system
// takes a probe for traffic.
type Kind string

// The first three pass packets on and keep a table of connections; the others
// end the connection.
const (
	NAT      Kind = "NAT"
	Firewall Kind = "firewall"
	Balancer Kind = "L4 balancer"
	Proxy    Kind = "proxy" // at layer 7, or at layer 4 with two connections
	Server   Kind = "HTTP server"
	Client   Kind = "HTTP client"
)

// ProbesCount reports whether a keepalive probe restarts the idle timeout of
// such a system. Where packets pass through, one is as good as another. Where
// the connection ends, the kernel answers the probe, and as a probe carries no
// payload the program never learns of it.
func (k Kind) ProbesCount() bool {
	switch k {
	case NAT, Firewall, Balancer:
		return true
	}
	return false
}

// A System forgets or closes a connection that has been idle for too long.
// Its texts are in plain ASCII and short enough for a table.
type System struct {
	Name        string        // at most 30 characters; unique
	Kind        Kind          // decides whether probes count
	IdleTimeout time.Duration // the default, or what Note says it is
	Note        string        // at most 48 characters: range, exceptions; may be empty
	Source      string        // at most 60 characters: a document, as a reader can find it
	// Year is the year of the source: the one it bears, or else that of the copy
	// that was read where its content tells, or else that of reading it.
	Year int
}

// ProbesCount reports whether a keepalive probe restarts the system's idle
// timeout: it follows from the Kind alone.
func (s System) ProbesCount() bool { return s.Kind.ProbesCount() }

// Systems returns the list, which the caller may change: first the systems
// where probes count, then the others; each from the shortest timeout to the
// longest, then by name.
func Systems() []System {
	return []System{
		{"Azure Load Balancer", Balancer, 4 * time.Minute, "4 to 100 min",
			"Azure: Configure load balancer TCP reset and idle timeout", 2024},
		{"Azure NAT Gateway", NAT, 4 * time.Minute, "4 to 120 min",
			"Azure: NAT Gateway resource, Idle Timeout Timers", 2023},
		{"AWS Gateway Load Balancer", Balancer, 350 * time.Second, "60 to 6000 s",
			"AWS: GWLB user guide, Update the TCP idle timeout", 2026},
		{"AWS NAT gateway", NAT, 350 * time.Second, "",
			"AWS: VPC user guide, Troubleshooting NAT gateways", 2023},
		{"AWS Network Firewall", Firewall, 350 * time.Second, "60 to 6000 s",
			"AWS: Network Firewall API reference, FlowTimeouts", 2026},
		{"AWS Network Load Balancer", Balancer, 350 * time.Second, "60 to 6000 s; fixed for TLS listeners",
			"AWS: NLB user guide, Update the TCP idle timeout", 2026},
		{"AWS security group, Nitro v6", Firewall, 350 * time.Second, "60 to 432000 s",
			"AWS: EC2 API reference, ConnectionTrackingConfiguration", 2026},
		{"GCP VPC firewall", Firewall, 10 * time.Minute, "",
			"GCP: Compute Engine troubleshooting, Idle connections", 2025},
		{"Linux IPVS", Balancer, 900 * time.Second, "ipvsadm --set",
			"Linux: net/netfilter/ipvs/ip_vs_proto_tcp.c", 2026},
		{"GCP Cloud NAT", NAT, 1200 * time.Second, "--tcp-established-idle-timeout",
			"GCP: Compute Engine API, RouterNat", 2026},
		{"Juniper SRX", Firewall, 1800 * time.Second, "up to 24 h, for each application",
			"Juniper KB34994: prevent TCP sessions from being removed", 2021},
		{"Check Point", Firewall, time.Hour, "can differ for each service",
			"khairul.org: Check Point, First packet isn't SYN", 2023},
		{"Cisco ASA", Firewall, time.Hour, "can differ for each class of traffic",
			"Cisco: ASA 9.1 CLI guide, Configuring Connection Settings", 2013},
		{"FortiGate", Firewall, time.Hour, "300 to 2764800 s",
			"Fortinet: Default session timeout value (session-ttl)", 2025},
		{"Palo Alto PAN-OS", Firewall, time.Hour, "1 to 15999999 s; an application may override it",
			"Palo Alto: Configure Session Timeouts (PAN-OS)", 2026},
		{"any NAT, by RFC 5382", NAT, 2*time.Hour + 4*time.Minute, "the least an RFC allows; many keep less",
			"RFC 5382, REQ-5", 2008},
		{"kube-proxy, conntrack", NAT, 24 * time.Hour, "--conntrack-tcp-timeout-established",
			"Kubernetes reference: kube-proxy", 2026},
		{"pf (OpenBSD, FreeBSD, pfSense)", Firewall, 24 * time.Hour, "5 h if aggressive, 5 days if conservative",
			"pfSense docs: Advanced Setup, from the source of pf", 2026},
		{"AWS security group, older EC2", Firewall, 432000 * time.Second, "60 to 432000 s",
			"AWS: EC2 API reference, ConnectionTrackingConfiguration", 2026},
		{"Linux conntrack", Firewall, 432000 * time.Second, "nf_conntrack_tcp_timeout_established",
			"Linux: networking/nf_conntrack-sysctl.rst", 2026},

		{"gunicorn", Server, 2 * time.Second, "sync workers close after each response",
			"gunicorn: config.py, Keepalive", 2024},
		{"Apache httpd", Server, 5 * time.Second, "KeepAliveTimeout",
			"Apache httpd: httpd.h, DEFAULT_KEEPALIVE_TIMEOUT", 2026},
		{"Node.js 8 to 25", Server, 5 * time.Second, "server.keepAliveTimeout",
			"Node.js issue 59193", 2025},
		{"uvicorn", Server, 5 * time.Second, "--timeout-keep-alive",
			"uvicorn: config.py, timeout_keep_alive", 2021},
		{"Jetty", Server, 30 * time.Second, "jetty.http.idleTimeout",
			"Jetty: http.mod, jetty.http.idleTimeout", 2026},
		{"AWS Application Load Balancer", Proxy, 60 * time.Second, "an HTTP/2 PING does not count either",
			"AWS: ALB user guide, Connection idle timeout", 2026},
		{"AWS Classic Load Balancer", Proxy, 60 * time.Second, "1 to 3600 s; its guide says so of probes",
			"AWS: CLB user guide, Configure the idle connection timeout", 2026},
		{"nginx, to upstream", Proxy, 60 * time.Second, "keepalive_timeout of upstream",
			"nginx: ngx_http_upstream_keepalive_module.c", 2026},
		{"Tomcat", Server, 60 * time.Second, "the server.xml it comes with sets 20 s",
			"Tomcat: The HTTP Connector, connectionTimeout", 2026},
		{"Node.js, current source", Server, 65 * time.Second, "and a buffer of 1 s",
			"Node.js: lib/_http_server.js, pull request 62782", 2026},
		{"nginx, to client", Server, 75 * time.Second, "the nginx.conf it comes with sets 65 s",
			"nginx: ngx_http_core_module.c, keepalive_timeout", 2026},
		{"Go http.Transport", Client, 90 * time.Second, "DefaultTransport; 0 in a Transport is no limit",
			"Go 1.26: net/http/transport.go, DefaultTransport", 2026},
		{"Firefox", Client, 115 * time.Second, "network.http.keep-alive.timeout",
			"Firefox: modules/libpref/init/all.js", 2024},
		{"Kestrel (ASP.NET Core)", Server, 130 * time.Second, "2 min in ASP.NET Core 1",
			".NET API: KestrelServerLimits.KeepAliveTimeout", 2026},
		{"Chrome", Client, 300 * time.Second, "",
			"Chromium: net/socket/client_socket_pool.cc", 2021},
		{"GCP Application LB, to backend", Proxy, 600 * time.Second, "fixed",
			"GCP: External Application LB, Request distribution", 2026},
		{"GCP Application LB, to client", Proxy, 610 * time.Second, "5 to 1200 s; regional: 600 s and no more",
			"GCP: Compute Engine API, TargetHttpProxy", 2026},
		{"Envoy, HTTP", Proxy, time.Hour, "to clients and to upstreams; 0 is no limit",
			"Envoy FAQ: How do I configure timeouts?", 2026},
		{"Envoy, TCP proxy", Proxy, time.Hour, "bytes count, on either side; 0 is no limit",
			"Envoy API: TcpProxy, idle_timeout", 2026},
	}
}
