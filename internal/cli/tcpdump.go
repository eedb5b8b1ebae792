package cli

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"kax/internal/capture"
	"kax/internal/timeline"
)

// tcpdump prints the command that captures the packets of connections to these
// servers, and says where it sees them.
func (a *app) tcpdump(f packetFlags, servers ...string) error {
	var on string
	var filters []string
	for i, server := range servers {
		host, port, err := net.SplitHostPort(server)
		if err != nil {
			return err
		}
		if port == "0" {
			return usage(errors.New("--tcpdump needs to know the port: give another than 0"))
		}
		filter := "port " + port
		if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
			filter += " and host " + host
		}
		if !slices.Contains(filters, filter) {
			filters = append(filters, filter)
		}
		way := "lo"
		if f.host {
			way = f.interfaceTo(host)
		}
		if i == 0 {
			on = way
		}
		if on != way {
			on = "" // each
		}
	}
	filter := "tcp " + filters[0]
	if len(filters) > 1 {
		// "and" binds no closer than "or" (pcap-filter(7)).
		filter = "tcp and ((" + strings.Join(filters, ") or (") + "))"
	}
	if err := a.printTcpdump(on, filter); err != nil {
		return err
	}
	if f.host || f.packets != "" {
		return nil // the run is on the host's network
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

// printTcpdump prints the command for one interface, or for all.
func (a *app) printTcpdump(on, filter string) error {
	if on == "" {
		on = "any"
		fmt.Fprintln(a.stderr, "kax: tcpdump shows a packet on each interface that it passes; kax shows it once")
	}
	_, err := fmt.Fprintf(a.stdout, "tcpdump -i %s -n '%s'\n", on, filter)
	return err
}

// expression is a filter in tcpdump's words (pcap-filter(7)).
func expression(f capture.Filter) string {
	text := "tcp"
	either := func(what string, of []string) {
		all := what + " " + strings.Join(of, " or "+what+" ")
		switch len(of) {
		case 0:
		case 1:
			text += " and " + all
		default:
			text += " and (" + all + ")"
		}
	}
	var hosts, ports []string
	for _, h := range f.Hosts {
		hosts = append(hosts, h.String())
	}
	for _, p := range f.Ports {
		ports = append(ports, fmt.Sprint(p))
	}
	either("port", ports)
	either("host", hosts)
	for i, from := range f.Exclude {
		to := f.Exclude[1-i]
		text += fmt.Sprintf(" and not (src host %v and src port %d and dst host %v and dst port %d)", from.Addr(), from.Port(), to.Addr(), to.Port())
	}
	return text
}

// interfaceTo is where packets to a host pass: a connection's way out, as the
// routes have it, or lo if that is to this machine. Where that is not to be
// known it is empty.
func (f packetFlags) interfaceTo(host string) string {
	if f.on != "" {
		return f.on
	}
	if ip := net.ParseIP(host); f.listens && (ip == nil || !ip.IsLoopback()) {
		return "" // by which they come is the clients' choice
	}
	c, err := net.Dial("udp", net.JoinHostPort(host, "9")) // sends nothing; any port will do
	if err != nil {
		return ""
	}
	defer c.Close()
	from, to := c.LocalAddr().(*net.UDPAddr).IP, c.RemoteAddr().(*net.UDPAddr).IP
	if from.Equal(to) || to.IsLoopback() {
		return "lo"
	}
	all, err := net.Interfaces()
	if err != nil {
		return ""
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
	return ""
}
