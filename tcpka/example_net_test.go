package tcpka_test

import (
	"fmt"
	"log"
	"net"
	"syscall"
	"time"

	"kax/tcpka"
)

// Settings made in Control do not last: package net has its own, and applies
// them afterwards. With a negative KeepAlive it leaves the socket alone.
func Example() {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	mine := tcpka.Settings{Enabled: true, Idle: 2 * time.Minute, Interval: 10 * time.Second, Count: 6}
	control := func(_, _ string, c syscall.RawConn) error {
		_, err := tcpka.SetRaw(c, mine)
		return err
	}

	for _, d := range []*net.Dialer{
		{Control: control},
		{Control: control, KeepAlive: -1},
		mine.Dialer(), // the same in short
	} {
		conn, err := d.Dial("tcp", server.Addr().String())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(tcpka.Get(conn.(*net.TCPConn)))
		conn.Close()
	}
	// Output:
	// on, idle 15s, interval 15s, count 9 <nil>
	// on, idle 2m, interval 10s, count 6 <nil>
	// on, idle 2m, interval 10s, count 6 <nil>
}

// What Go's own defaults do on a kernel with 250 timer ticks a second.
func ExampleNewPlan() {
	p, err := tcpka.NewPlan(tcpka.Settings{
		Enabled: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 9,
	}, 250)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("first probe after", p.First())
	fmt.Println("then every", p.Every())
	death, _, probes := p.Death()
	fmt.Println("given up after", death, "and", probes, "probes")
	// Output:
	// first probe after 15s to 15.256s
	// then every 15.104s
	// given up after 2m30.832s to 2m31.344s and 9 probes
}
