package cli

import (
	"errors"
	"fmt"
	"net"

	"kax/internal/capture"
	"kax/internal/timeline"
)

// tcpdump prints the command that captures the same packets, and says where
// it sees them.
func (a *app) tcpdump(f packetFlags, listen string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	if port == "0" {
		return usage(errors.New("--tcpdump needs to know the port: give another than 0"))
	}
	filter := "tcp port " + port
	if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
		filter += " and host " + host
	}
	on := "lo"
	if f.host {
		on = f.interfaceTo(host)
	}
	if _, err := fmt.Fprintf(a.stdout, "tcpdump -i %s -n '%s'\n", on, filter); err != nil {
		return err
	}
	if f.host {
		return nil // kax sees them there too
	}
	if f.netns || f.source == string(timeline.UserNS) {
		fmt.Fprintln(a.stderr, "kax: the packets of this run are in a network namespace of its own: on the host, tcpdump does not see them")
		fmt.Fprintln(a.stderr, "hint: run kax demo as root and without --netns for packets on the host's lo")
		return nil
	}
	live, err := capture.OpenLive()
	if err == nil {
		return live.Close()
	}
	if f.source == string(timeline.Counters) {
		return nil // on the host's network, whoever may capture there
	}
	fmt.Fprintln(a.stderr, "kax: as this user kax captures in a network namespace of its own, where it may make one: on the host, tcpdump does not see those packets")
	fmt.Fprintln(a.stderr, "hint: run kax demo as root, or with --source counters, for packets on the host's lo")
	return nil
}

// interfaceTo is where packets to a host pass: a connection's way out, as the
// routes have it, or lo if that is to this machine. Where that is not to be
// known it is any.
func (f packetFlags) interfaceTo(host string) string {
	if f.on != "" {
		return f.on
	}
	if ip := net.ParseIP(host); f.listens && (ip == nil || !ip.IsLoopback()) {
		return "any" // by which they come is the clients' choice
	}
	c, err := net.Dial("udp", net.JoinHostPort(host, "9")) // sends nothing; any port will do
	if err != nil {
		return "any"
	}
	defer c.Close()
	from, to := c.LocalAddr().(*net.UDPAddr).IP, c.RemoteAddr().(*net.UDPAddr).IP
	if from.Equal(to) || to.IsLoopback() {
		return "lo"
	}
	all, err := net.Interfaces()
	if err != nil {
		return "any"
	}
	for _, ifi := range all {
		addrs, err := ifi.Addrs()
		if err != nil {
			continue
		}
		for _, addr := range addrs {
			if n, ok := addr.(*net.IPNet); ok && n.IP.Equal(from) {
				return ifi.Name
			}
		}
	}
	return "any"
}
