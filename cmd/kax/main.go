// Kax, the keepalive explorer, shows TCP keepalive and HTTP keep-alive as the
// two mechanisms they are.
package main

import (
	"os"

	"kax/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr)) }
