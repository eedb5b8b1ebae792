package sockets

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestSort(t *testing.T) {
	at := netip.MustParseAddrPort
	a := &Socket{Local: at("10.0.0.1:1"), Peer: at("10.9.9.9:2"), State: Listen, Owner: Owner{PID: 30, Process: "a"}, Quiet: Never}
	b := &Socket{Local: at("10.0.0.2:1"), Peer: at("10.0.0.9:2"), State: Established, Timer: KeepaliveTimer, Expires: time.Minute, Probes: 1, Quiet: time.Hour, Owner: Owner{PID: 4, Process: "c"}}
	c := &Socket{Local: at("10.0.0.3:1"), Peer: at("10.1.0.9:2"), State: CloseWait, Timer: TimeWaitTimer, Expires: time.Second, Quiet: time.Second}
	for key, want := range map[string][]*Socket{
		"local": {a, b, c}, "peer": {b, c, a}, "state": {b, c, a}, "pid": {b, a, c}, "process": {a, b, c},
		"timer": {c, b, a}, "probes": {b, a, c}, "idle": {b, c, a},
	} {
		list := []*Socket{c, a, b}
		if Sort(list, key); !slices.Equal(list, want) {
			t.Errorf("by %s: %v, %v, %v", key, list[0].Local, list[1].Local, list[2].Local)
		}
		if !slices.Contains(SortKeys(), key) {
			t.Errorf("%s is no key", key)
		}
	}
	if n := len(SortKeys()); n != 8 {
		t.Errorf("%d keys, 8 tested", n)
	}
}

func TestParseStates(t *testing.T) {
	for text, want := range map[string]States{
		"established": 1 << Established, "ESTAB,listen": 1<<Established | 1<<Listen, "close-wait": 1 << CloseWait,
		"Listening, syn-recv": 1<<Listen | 1<<SynRecv, "closed": 1 << Closed, "time-wait": 1 << 6, "fin-wait-2": 1 << FinWait2,
	} {
		if got, err := ParseStates(text); got != want || err != nil {
			t.Errorf("%q: %b, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "open", "estab,,listen"} {
		if got, err := ParseStates(text); err == nil {
			t.Errorf("%q: %b", text, got)
		}
	}
	if States(1<<SynRecv).mask()&(1<<newSynRecv) == 0 || States(0).mask() != uint32(allStates) {
		t.Error("the mask lacks states")
	}
}
