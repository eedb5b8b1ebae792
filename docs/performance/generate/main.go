// Command generate writes the capture that reading is measured with: HTTP
// connections that are used, fall idle, and are probed. The same arguments give
// the same file.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	var s size
	flag.IntVar(&s.connections, "connections", 1000, "how many, at most 50000")
	flag.IntVar(&s.length, "length", 1, "how many times as long each lives")
	ng := flag.Bool("pcapng", false, "write pcapng, not pcap")
	flag.Parse()
	if flag.NArg() != 1 || s.connections < 1 || s.connections > 50000 || s.length < 1 {
		flag.Usage()
		os.Exit(2)
	}
	write := writePcap
	if *ng {
		write = writePcapng
	}
	n, err := write(flag.Arg(0), s)
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
	fmt.Printf("%d packets: %d connections, %d requests, %d probes\n", n, s.connections, s.requests(), s.probes())
}
