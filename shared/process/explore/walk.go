package explore

import (
	"math/rand/v2"
	"slices"
)

// Walk takes random steps instead of all, for plans that are too large to be gone
// through, and begins anew at rest. It keeps an eye on the promises, not on whether all
// can come to rest. The same seed always walks the same way.
func Walk(p Plan, seed uint64, steps int) Result {
	m := newMachine(p)
	rng := rand.New(rand.NewPCG(seed, 0))
	r := Result{}
	w := m.first()
	r.Story = []string{m.show(&w)}
	for r.Moves < steps && r.Fault == "" {
		var may []step
		m.steps(&w, func(s step) { may = append(may, s) })
		if len(may) == 0 || m.atRest(&w) && rng.IntN(4) == 0 {
			w = m.first()
			r.Story = []string{m.show(&w)}
			continue
		}
		s := may[rng.IntN(len(may))]
		told := m.tell(&w, s)
		m.fault = ""
		m.take(&w, s)
		m.tidy(&w)
		r.Moves++
		r.Story = append(r.Story, told+". "+m.show(&w))
		if r.Fault = m.fault; r.Fault == "" {
			r.Fault = m.check(&w)
		}
	}
	if r.Fault == "" {
		r.Story = nil
	} else {
		r.Story = append(slices.Clip(r.Story), "Here "+r.Fault+".")
	}
	return r
}
