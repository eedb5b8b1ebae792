package hosts

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Where in a segment its ports and flags stand (RFC 9293 section 3.1).
const (
	sourcePort      = 0
	destinationPort = 2
	controlBits     = 13
)

const flagFIN = 1

// Drop loses every TCP segment to or from a port in the calling thread's network
// namespace, until it is lifted on the same thread. Whoever sends to the port
// learns nothing of it.
func Drop(port uint16) (lift func() error, err error) {
	return drop(fmt.Sprintf("drop%d", port), append(tcp(), at(sourcePort, port)...), append(tcp(), at(destinationPort, port)...))
}

// Silence loses every TCP segment to and from the host, until it is lifted: its
// peers learn nothing of it, as if its power had been cut.
func (h *Host) Silence() (lift func() error, err error) {
	var undo func() error
	err = h.Do(func() (err error) {
		undo, err = drop("silence", tcp(), tcp())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", h.Name, err)
	}
	return func() error { return h.Do(undo) }, nil
}

// LoseFIN loses the FINs that come to the host, as if they were still on their
// way, until it is lifted.
func (h *Host) LoseFIN() (lift func() error, err error) {
	var undo func() error
	err = h.Do(func() (err error) {
		undo, err = drop("fin", nil, append(tcp(), flag(flagFIN)...))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", h.Name, err)
	}
	return func() error { return h.Do(undo) }, nil
}

// drop loses what goes out or comes in and matches; nil matches nothing.
func drop(name string, out, in []expr.Any) (lift func() error, err error) {
	c, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("nftables: %w", err)
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: name})
	for _, chain := range []struct {
		name  string
		hook  *nftables.ChainHook
		match []expr.Any
	}{
		{"from", nftables.ChainHookOutput, out}, // lost by the time that the system call returns
		{"to", nftables.ChainHookInput, in},
	} {
		if chain.match == nil {
			continue
		}
		c.AddRule(&nftables.Rule{
			Table: table,
			Chain: c.AddChain(&nftables.Chain{
				Name: chain.name, Table: table, Type: nftables.ChainTypeFilter,
				Hooknum: chain.hook, Priority: nftables.ChainPriorityFilter,
			}),
			Exprs: append(chain.match, &expr.Verdict{Kind: expr.VerdictDrop}),
		})
	}
	if err := c.Flush(); err != nil {
		return nil, fmt.Errorf("nftables: %w", missing(err))
	}
	return func() error {
		c.DelTable(table)
		if err := c.Flush(); err != nil {
			return fmt.Errorf("nftables: %w", err)
		}
		return nil
	}, nil
}

// missing says of a refusal that the kernel lacks what was asked for: there is no
// such kind of link (EOPNOTSUPP), nf_tables finds no such expression or type of
// chain (ENOENT), or there is no nf_tables at all.
func missing(err error) error {
	for _, errno := range []unix.Errno{unix.ENOENT, unix.EOPNOTSUPP, unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT} {
		if errors.Is(err, errno) { // netlink repeats it for each part of a request
			return lacking{errno}
		}
	}
	return err
}

// lacking is how the kernel says that it has no such thing.
type lacking struct{ unix.Errno }

func (e lacking) Unwrap() error { return e.Errno }

func (lacking) Is(target error) bool { return target == errors.ErrUnsupported }

// tcp matches TCP.
func tcp() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
	}
}

// at matches a port, by its place in the segment.
func at(offset uint32, port uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
	}
}

// flag matches a control bit.
func flag(bit byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: controlBits, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{bit}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{0}},
	}
}

// named matches the name of a link.
func named(key expr.MetaKey, name string) []expr.Any {
	padded := make([]byte, 16) // IFNAMSIZ
	copy(padded, name)
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: padded},
	}
}

// state matches what conntrack says of a packet.
func state(bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{
			SourceRegister: 1, DestRegister: 1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: binaryutil.NativeEndian.PutUint32(0),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(0)},
	}
}
