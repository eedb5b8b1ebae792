// Package testnet gives tests a network of their own, and loss in it.
package testnet

import (
	"fmt"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

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

// Drop loses every TCP segment to or from a port in the calling thread's network
// namespace, until it is lifted on the same thread. Whoever sends to the port
// learns nothing of it.
func Drop(port uint16) (lift func() error, err error) {
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: fmt.Sprintf("drop%d", port)})
	for _, at := range []struct {
		name   string
		hook   *nftables.ChainHook
		offset uint32 // of the port in the segment (RFC 9293 section 3.1)
	}{
		{"from", nftables.ChainHookOutput, 0}, // lost by the time that the system call returns
		{"to", nftables.ChainHookInput, 2},
	} {
		chain := c.AddChain(&nftables.Chain{
			Name: at.name, Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: at.hook, Priority: nftables.ChainPriorityFilter,
		})
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: at.offset, Len: 2},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
			&expr.Verdict{Kind: expr.VerdictDrop},
		}})
	}
	if err := c.Flush(); err != nil {
		return nil, fmt.Errorf("nftables: %w", err)
	}
	return func() error {
		c.DelTable(table)
		if err := c.Flush(); err != nil {
			return fmt.Errorf("nftables: %w", err)
		}
		return nil
	}, nil
}
