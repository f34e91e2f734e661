package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How the memory of a server follows its work. A calm one is small; one that has much
// to do spends memory on speed, more of it where a database server stands beside it: such
// a machine is no laptop. What is much does not depend on how fast the machine is. The
// numbers are percents of garbage to what lives, as GOGC counts them.
const (
	calmPercent = 30
	busyPercent = 100
	mostPercent = 300
	busyRate    = 24 << 20 // bytes that are allocated in a second
	calmRate    = 16 << 20
	busyWork    = 320 << 20 // bytes that seconds at that rate, in a row, allocate
	calmAfter   = 5         // seconds in a row
	stillShare  = 10        // a second is still that allocates less than this part of the heap
	spentShare  = 8         // what is kept for use again is given back once this part of the heap was allocated
	worthwhile  = 24 << 20  // bytes of a heap; a smaller one has little to give
)

// pace is one server's.
type pace struct {
	busy    int    // the percent while there is work
	percent int    // as it is now
	work    uint64 // bytes that were allocated in busy seconds in a row, while calm
	calm    int    // how many seconds in a row were calm, while busy
	still   int    // how many seconds in a row allocated little beside what is held
	spent   uint64 // bytes that were allocated since memory was given back
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
	before := p.percent
	switch {
	case before == calmPercent && allocated < busyRate:
		p.work = 0
	case before == calmPercent:
		if p.work += allocated; p.work >= busyWork {
			p.percent, p.work = p.busy, 0
		}
	case allocated >= calmRate:
		p.calm = 0
	default:
		if p.calm++; p.calm >= calmAfter {
			p.percent, p.calm = calmPercent, 0
		}
	}
	return p.percent != before
}

// gives tells whether it is time to give back what is kept, by what was allocated in the
// last second and what the heap holds. A storm of connections leaves a gateway with room
// that it does not need again for long, and each command with a larger stack, which only
// the collector makes small: once there was some work and then some seconds were still,
// it is asked for. Without new work it is not asked for again.
func (p *pace) gives(allocated, used uint64) bool {
	p.spent += allocated
	if p.percent != calmPercent || allocated > used/stillShare {
		p.still = 0
		return false
	}
	p.still++
	if p.still < calmAfter || used < worthwhile || p.spent < used/spentShare {
		return false
	}
	p.still, p.spent = 0, 0
	return true
}

// keepPace lets the collector of garbage follow the work until ctx ends.
func keepPace(ctx context.Context, p *pace) {
	debug.SetGCPercent(p.percent)
	read := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
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
		changed, gives := p.next(now-before), p.gives(now-before, read[1].Value.Uint64())
		if changed {
			debug.SetGCPercent(p.percent)
		}
		if changed && p.percent == calmPercent || gives {
			debug.FreeOSMemory()
		}
		before = now
	}
}
