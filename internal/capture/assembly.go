package capture

import "golang.org/x/net/bpf"

// An assembly is a program in the making. Conditional jumps of classic BPF reach
// 255 instructions, others any number: so each condition here skips one of those.
type assembly struct {
	filter       Filter
	accept, drop label
	code         []bpf.Instruction
	jumps        map[int]label // the instructions that jump, and where to
	places       []int         // of each label
}

type label int

func newAssembly(f Filter) *assembly {
	p := &assembly{filter: f}
	p.accept, p.drop = p.label(), p.label()
	return p
}

func (p *assembly) label() label {
	p.places = append(p.places, -1)
	return label(len(p.places) - 1)
}

// place has a label stand here.
func (p *assembly) place(l label) { p.places[l] = len(p.code) }

func (p *assembly) add(in ...bpf.Instruction) { p.code = append(p.code, in...) }

func (p *assembly) jump(to label) {
	if p.jumps == nil {
		p.jumps = map[int]label{}
	}
	p.jumps[len(p.code)] = to
	p.add(bpf.Jump{})
}

// when jumps if the accumulator has a value.
func (p *assembly) when(value uint32, to label) {
	p.add(bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: value, SkipTrue: 1})
	p.jump(to)
}

// unless jumps if it has another.
func (p *assembly) unless(value uint32, to label) {
	p.add(bpf.JumpIf{Cond: bpf.JumpEqual, Val: value, SkipTrue: 1})
	p.jump(to)
}

// finish adds the two ends, and resolves the jumps. All of them lead forward.
func (p *assembly) finish() []bpf.Instruction {
	p.place(p.accept)
	p.add(bpf.RetConstant{Val: uint32(p.filter.snap())})
	p.place(p.drop)
	p.add(bpf.RetConstant{Val: 0})
	for at, to := range p.jumps {
		p.code[at] = bpf.Jump{Skip: uint32(p.places[to] - at - 1)}
	}
	return p.code
}
