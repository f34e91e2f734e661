package main

import "testing"

func TestMemoryFollowsTheWork(t *testing.T) {
	t.Parallel()
	const much, little, some = 100 << 20, 1 << 20, 20 << 20
	p := newPace("", true)
	for i, second := range []struct {
		allocated uint64
		percent   int
	}{
		{little, calmPercent},
		{much, calmPercent}, // a moment's work changes nothing
		{little, calmPercent},
		{much, calmPercent}, {much, calmPercent}, {much, calmPercent},
		{much, mostPercent},
		{some, mostPercent}, // less, but not calm
		{little, mostPercent},
		{some, mostPercent},
		{little, mostPercent}, {little, mostPercent}, {little, mostPercent}, {little, mostPercent}, {little, calmPercent},
		{some, calmPercent},
	} {
		p.next(second.allocated)
		if p.percent != second.percent {
			t.Errorf("after second %d it is %d %%, not %d", i, p.percent, second.percent)
		}
	}
	const held = 50 << 20
	p, small := newPace("", true), newPace("", true)
	for i, second := range []struct {
		allocated uint64
		gives     bool
	}{
		{little, false}, {little, false}, {little, false}, {little, false},
		{little, false}, // still for long enough, but there was no storm
		{much, false},
		{little, false}, {little, false}, {little, false}, {little, false},
		{some, false}, // not yet over
		{little, false}, {little, false}, {little, false}, {little, false}, {little, true},
		{little, false}, {little, false}, {little, false}, {little, false},
		{little, false}, // once is enough
	} {
		if small.gives(second.allocated, some) {
			t.Errorf("a small server gives back after second %d", i)
		}
		if gives := p.gives(second.allocated, held); gives != second.gives {
			t.Errorf("after second %d with %d allocated it gives back: %v", i, second.allocated, gives)
		}
	}
	one := newPace("gateway", true)
	for range 20 {
		if one.next(much) {
			t.Fatalf("a gateway goes to %d %%", one.percent)
		}
	}
	if one := newPace("", false); one.busy != busyPercent {
		t.Errorf("a server by itself spends up to %d %%", one.busy)
	}
}
