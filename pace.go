package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How the memory of a server follows its work. A calm one is small; one that has been
// busy for some seconds spends memory on speed, more of it where a database server
// stands beside it: such a machine is no laptop. The numbers are percents of garbage to
// what lives, as GOGC counts them.
const (
	calmPercent = 30
	busyPercent = 100
	mostPercent = 300
	busyRate    = 24 << 20 // bytes that are allocated in a second
	calmRate    = 16 << 20
	busyAfter   = 4 // seconds in a row
	calmAfter   = 5
)

// pace is one server's.
type pace struct {
	busy    int // the percent while there is work
	percent int // as it is now
	since   int // how many seconds in a row have asked for the other
	spare   int // how many seconds in a row much was kept that nobody used
}

// newPace is for a server of some parts, with a database server or not. A gateway by
// itself is always small: it keeps much for its agents and does little.
func newPace(profile string, database bool) *pace {
	p := &pace{busy: busyPercent, percent: calmPercent}
	switch {
	case profile == "gateway":
		p.busy = calmPercent
	case database:
		p.busy = mostPercent
	}
	return p
}

// next decides by what was allocated in the last second.
func (p *pace) next(allocated uint64) (changed bool) {
	calm := p.percent == calmPercent
	if calm && allocated < busyRate || !calm && allocated >= calmRate {
		p.since = 0
		return false
	}
	p.since++
	switch {
	case calm && p.since >= busyAfter:
		p.percent = p.busy
	case !calm && p.since >= calmAfter:
		p.percent = calmPercent
	default:
		return false
	}
	p.since = 0
	return true
}

// gives tells whether it is time to give back what is kept: after a storm of connections a
// gateway has room that it does not need again for long. What one round of the collector
// leaves free is less than a third of what is used; it also makes stacks small again.
func (p *pace) gives(free, used uint64) bool {
	if p.percent != calmPercent || free <= used/3 {
		p.spare = 0
		return false
	}
	p.spare++
	if p.spare < calmAfter {
		return false
	}
	p.spare = 0
	return true
}

// keepPace lets the collector of garbage follow the work until ctx ends.
func keepPace(ctx context.Context, p *pace) {
	debug.SetGCPercent(p.percent)
	read := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(read)
	before := read[0].Value.Uint64()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(read)
		now := read[0].Value.Uint64()
		changed := p.next(now - before)
		if changed {
			debug.SetGCPercent(p.percent)
		}
		if changed && p.percent == calmPercent || p.gives(read[1].Value.Uint64(), read[2].Value.Uint64()) {
			debug.FreeOSMemory()
		}
		before = now
	}
}
