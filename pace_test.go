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
	for i, second := range []struct {
		free, used uint64
		gives      bool
	}{
		{much, much, false}, {much, much, false}, {much, much, false}, {much, much, false},
		{little, much, false}, // it is used again
		{much, much, false}, {much, much, false}, {much, much, false}, {much, much, false}, {much, much, true},
		{much, much, false},
	} {
		if gives := p.gives(second.free, second.used); gives != second.gives {
			t.Errorf("after second %d with %d free it gives back: %v", i, second.free, gives)
		}
	}
	if one := newPace("gateway", true); one.busy != calmPercent {
		t.Errorf("a gateway spends up to %d %%", one.busy)
	}
	if one := newPace("", false); one.busy != busyPercent {
		t.Errorf("a server by itself spends up to %d %%", one.busy)
	}
}
