package httpka_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"kax/httpka"
)

// Two requests share a connection, until a response says that it ends.
func ExampleServer() {
	s := httpka.NewServer(httpka.ServerConfig{OnEvent: func(e httpka.Event) {
		if e.Kind == httpka.Response {
			fmt.Printf("%s: %d, number %d on its connection, Connection: %q\n", e.Target, e.Status, e.Nth, e.Connection)
		}
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error)
	go func() { served <- s.Serve(l) }()

	for _, path := range []string{"/keep", "/close", "/keep"} {
		resp, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body) // or the connection is not reused
		resp.Body.Close()
	}
	s.Close()
	fmt.Println("served:", <-served)
	// Output:
	// /keep: 200, number 1 on its connection, Connection: ""
	// /close: 200, number 2 on its connection, Connection: "close"
	// /keep: 200, number 1 on its connection, Connection: ""
	// served: <nil>
}

// A client tells which of its requests found a connection to reuse.
func ExampleClient() {
	s := httpka.NewServer(httpka.ServerConfig{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go s.Serve(l) //nolint:errcheck // closed below
	defer s.Close()

	c := httpka.NewClient(httpka.ClientConfig{OnEvent: func(e httpka.Event) {
		fmt.Printf("%v: %s %s, reused: %t\n", e.Kind, e.Method, e.Target, e.Reused)
	}})
	ctx := context.Background()
	for _, path := range []string{"/keep", "/keep", "/close", "/keep"} {
		if _, err := c.Get(ctx, "http://"+l.Addr().String()+path); err != nil {
			fmt.Println(err)
			return
		}
	}
	c.Close()
	fmt.Println("all closed:", c.Wait(ctx) == nil)
	// Output:
	// request: GET /keep, reused: false
	// request: GET /keep, reused: true
	// request: GET /close, reused: true
	// request: GET /keep, reused: false
	// all closed: true
}

// What became of a connection is told with the request that had to do without
// it. Here a body is not read to its end, and then the server says close.
func ExampleClient_Exchange() {
	s := httpka.NewServer(httpka.ServerConfig{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go s.Serve(l) //nolint:errcheck // closed below
	defer s.Close()

	c := httpka.NewClient(httpka.ClientConfig{})
	defer c.Close()
	ask := func(path string, b httpka.Bounds) {
		req, err := http.NewRequest(http.MethodGet, "http://"+l.Addr().String()+path, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		x := c.Exchange(req, b)
		fmt.Printf("%d on #%d, reused: %t, %q\n", x.Status, x.Conn, x.Reused, x.Why.Reason)
	}
	ask("/keep", httpka.Bounds{})
	ask("/bytes?n=1000", httpka.Bounds{Read: 10})
	ask("/close", httpka.Bounds{})
	ask("/keep", httpka.Bounds{})
	// Output:
	// 200 on #1, reused: false, "first"
	// 200 on #1, reused: true, ""
	// 200 on #2, reused: false, "body-unread"
	// 200 on #3, reused: false, "server-close"
}

// How long does a server leave an idle connection open?
func ExampleIdleFinder() {
	s := httpka.NewServer(httpka.ServerConfig{IdleTimeout: time.Second, Announce: true})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go s.Serve(l) //nolint:errcheck // closed below
	defer s.Close()

	finder := httpka.IdleFinder{URL: "http://" + l.Addr().String() + "/keep", Samples: 3}
	found, err := finder.Find(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(found.Samples, "connections ended by", found.How, "after about", found.Timeout.Round(time.Second))
	fmt.Println("announced:", found.Announced)
	// Output:
	// 3 connections ended by fin after about 1s
	// announced: timeout=1
}
