package tcpka_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"kax/tcpka"
)

func ExampleSettings_Dialer() {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	patient := tcpka.Settings{Enabled: true, Idle: 2 * time.Minute, Interval: 10 * time.Second, Count: 6}
	conn, err := patient.Dialer().Dial("tcp", server.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	got, err := tcpka.Get(conn.(*net.TCPConn))
	fmt.Println(got, err)
	// Output: on, idle 2m, interval 10s, count 6 <nil>
}

// Connections accepted from a listener have the listener's settings.
func ExampleSettings_ListenConfig() {
	eager := tcpka.Settings{Enabled: true, Idle: 5 * time.Second, Interval: time.Second, Count: 3}
	server, err := eager.ListenConfig().Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	client, err := net.Dial("tcp", server.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	conn, err := server.Accept()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	got, err := tcpka.Get(conn.(*net.TCPConn))
	fmt.Println(got, err)
	// Output: on, idle 5s, interval 1s, count 3 <nil>
}

// Set returns what is in force afterwards: the interval here is package net's.
// What no kernel takes is refused, and the socket stays as it was.
func ExampleSet() {
	conn := dialExample()
	defer conn.Close()

	effective, err := tcpka.Set(conn, tcpka.Settings{Enabled: true, Idle: 30 * time.Second, Count: 4})
	fmt.Println(effective, err)
	_, err = tcpka.Set(conn, tcpka.Settings{Enabled: true, Idle: 1500 * time.Millisecond})
	fmt.Println(err)
	_, err = tcpka.Set(conn, tcpka.Settings{Enabled: true, Count: 128})
	fmt.Println(err)
	// Output:
	// on, idle 30s, interval 15s, count 4 <nil>
	// keepidle 1.5s: must be a whole number of seconds from 1 to 32767
	// keepcnt 128: must be from 1 to 127
}

// Package net has its own settings for every connection. A zero field of Set
// leaves them.
func ExampleGet() {
	conn := dialExample()
	defer conn.Close()

	fmt.Println(tcpka.Get(conn))
	if _, err := tcpka.Set(conn, tcpka.Settings{Enabled: true, Idle: time.Minute}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(tcpka.Get(conn))
	// Output:
	// on, idle 15s, interval 15s, count 9 <nil>
	// on, idle 1m, interval 15s, count 9 <nil>
}

func dialExample() *net.TCPConn {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	conn, err := net.Dial("tcp", server.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// A connection opens, carries 5 bytes, and goes idle until its client probes.
func ExampleFlow() {
	const client, server = 0, 1
	const (
		syn = tcpka.FlagSYN
		ack = tcpka.FlagACK
		psh = tcpka.FlagPSH
	)
	var flow tcpka.Flow
	for _, s := range []struct {
		from int
		tcpka.Segment
	}{
		{client, tcpka.Segment{Seq: 1000, Flags: syn, Window: 64240, Scale: 7}},
		{server, tcpka.Segment{Seq: 5000, Ack: 1001, Flags: syn | ack, Window: 65160, Scale: 7}},
		{client, tcpka.Segment{Seq: 1001, Ack: 5001, Flags: ack, Window: 502}},
		{client, tcpka.Segment{Seq: 1001, Ack: 5001, Flags: psh | ack, Window: 502, Len: 5}},
		{server, tcpka.Segment{Seq: 5001, Ack: 1006, Flags: ack, Window: 509}},
		{client, tcpka.Segment{Seq: 1005, Ack: 5001, Flags: ack, Window: 502}},
		{server, tcpka.Segment{Seq: 5001, Ack: 1006, Flags: ack, Window: 509}},
	} {
		m := flow.Next(s.from, s.Segment)
		fmt.Printf("%-12v window %d\n", m.Kind, m.Window)
	}
	// Output:
	// syn          window 64240
	// syn-ack      window 65160
	// established  window 64256
	// data         window 64256
	// ack          window 65152
	// probe        window 64256
	// probe-answer window 65152
}
