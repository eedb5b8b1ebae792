// Package testnet gives tests a network of their own.
package testnet

import (
	"testing"

	"kax/internal/need"
	"kax/internal/netns"
)

// In runs f in a new network namespace, or skips the test where there is none
// to be had.
func In(t testing.TB, f func() error) {
	t.Helper()
	ran := false
	err := netns.Do(func() error { ran = true; return f() })
	if !ran {
		need.Permission(t, "make a network namespace", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
