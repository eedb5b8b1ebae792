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

// Link-layer types of interfaces whose frames are Ethernet's (linux/if_arp.h).
const (
	arphrdEther    = 1
	arphrdLoopback = 772
)

// once takes Ethernet frames only, and each once: on the loopback interface,
// whose index is given, every packet passes twice, and like libpcap it drops the
// outgoing copy.
func once(loopback int) []bpf.Instruction {
	drop := bpf.RetConstant{Val: 0}
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtLinkLayerType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arphrdEther, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arphrdLoopback, SkipTrue: 1},
		drop,
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(loopback), SkipFalse: 3},
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: packetOutgoing, SkipTrue: 1},
		drop,
	}
}

// program takes the frames that f is about.
func (f Filter) program() []bpf.Instruction {
	drop := bpf.RetConstant{Val: 0}
	require := func(cond bpf.JumpTest, value uint32) []bpf.Instruction {
		return []bpf.Instruction{bpf.JumpIf{Cond: cond, Val: value, SkipTrue: 1}, drop}
	}
	eitherPort := func(src, dst bpf.Instruction) []bpf.Instruction {
		if f.Port == 0 {
			return []bpf.Instruction{bpf.RetConstant{Val: snapLen}, drop}
		}
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
	return slices.Concat(
		[]bpf.Instruction{
			bpf.LoadAbsolute{Off: 12, Size: 2}, // EtherType
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x0800, SkipFalse: uint8(len(ipv4))},
		},
		ipv4,
		require(bpf.JumpEqual, 0x86dd),
		ipv6,
	)
}
