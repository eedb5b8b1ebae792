package capture

import (
	"slices"

	"golang.org/x/net/bpf"
)

// snapLen is what a matching packet is cut to: more than any frame of the ring
// holds.
const snapLen = 1 << 18

// packetOutgoing is the packet type of a frame on its way out (packet(7)).
const packetOutgoing = 4

// program compiles a filter for Ethernet frames. On a loopback interface every
// packet passes twice, outgoing and then incoming; dropping the outgoing copy
// leaves each once, as libpcap does.
func (f Filter) program(loopback bool) []bpf.Instruction {
	drop := bpf.RetConstant{Val: 0}
	require := func(cond bpf.JumpTest, value uint32) []bpf.Instruction {
		return []bpf.Instruction{bpf.JumpIf{Cond: cond, Val: value, SkipTrue: 1}, drop}
	}
	eitherPort := func(src, dst bpf.Instruction) []bpf.Instruction {
		port := uint32(f.Port)
		return []bpf.Instruction{
			src, bpf.JumpIf{Cond: bpf.JumpEqual, Val: port, SkipTrue: 2},
			dst, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: port, SkipTrue: 1},
			bpf.RetConstant{Val: snapLen},
			drop,
		}
	}
	// Offsets count from the Ethernet header, which has 14 bytes.
	ipv4 := slices.Concat(
		[]bpf.Instruction{bpf.LoadAbsolute{Off: 14 + 9, Size: 1}}, require(bpf.JumpEqual, 6), // protocol
		[]bpf.Instruction{bpf.LoadAbsolute{Off: 14 + 6, Size: 2}}, require(bpf.JumpBitsNotSet, 0x1fff), // fragment offset
		[]bpf.Instruction{bpf.LoadMemShift{Off: 14}}, // X = length of the IPv4 header
		eitherPort(bpf.LoadIndirect{Off: 14, Size: 2}, bpf.LoadIndirect{Off: 14 + 2, Size: 2}),
	)
	ipv6 := slices.Concat(
		[]bpf.Instruction{bpf.LoadAbsolute{Off: 14 + 6, Size: 1}}, require(bpf.JumpEqual, 6), // next header
		eitherPort(bpf.LoadAbsolute{Off: 14 + 40, Size: 2}, bpf.LoadAbsolute{Off: 14 + 42, Size: 2}),
	)
	var once []bpf.Instruction
	if loopback {
		once = slices.Concat(
			[]bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtType}}, require(bpf.JumpNotEqual, packetOutgoing))
	}
	return slices.Concat(
		once,
		[]bpf.Instruction{
			bpf.LoadAbsolute{Off: 12, Size: 2}, // EtherType
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x0800, SkipFalse: uint8(len(ipv4))},
		},
		ipv4,
		require(bpf.JumpEqual, 0x86dd),
		ipv6,
	)
}
