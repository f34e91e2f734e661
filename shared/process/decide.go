package process

// Find returns the definition of that name, or nil.
type Find func(name string) *Definition

// Fitting returns the definition as which a process goes on in a state: its own,
// or that of a delegate; nil if none has any business there.
func Fitting(d *Definition, state string, find Find) *Definition {
	for d != nil && !d.Fits(state) {
		d = find(d.Delegate)
	}
	return d
}

// Settle says what a process that comes to a resource in a state does there. An
// ending reason means that there is nothing left to do, none that the process goes
// on as the returned definition.
func Settle(d *Definition, state string, find Find) (*Definition, Reason) {
	switch as := Fitting(d, state, find); {
	case as == nil:
		return nil, Canceled
	case as.IsDone(state):
		return as, AlreadyDone
	default:
		return as, ""
	}
}

// Decide says what the launch of a process on a resource in a state comes to, and
// as which definition it goes on: Scheduled, AlreadyDone or, where nothing may
// begin, Canceled. A process that hands over is named as from: its done state
// counts as if the resource were there.
func Decide(d, from *Definition, state string, find Find) (*Definition, Reason) {
	for ; d != nil; d = find(d.Delegate) {
		switch {
		case d.IsStart(state) || d.IsTransitioning(state) || d.startsAfter(from, state):
			return d, Scheduled
		case d.IsDone(state):
			return d, AlreadyDone
		}
	}
	return nil, Canceled
}

// Enter returns the state to which a process takes a resource at its beginning; one
// that is under way stays where it is. Where from hands over, its done state is
// passed without being entered.
func Enter(d, from *Definition, state string) string {
	if !d.IsStart(state) && d.startsAfter(from, state) {
		state, _ = from.Done.Get(state)
	}
	if !d.IsStart(state) {
		return state
	}
	to, _ := d.Through.Get(state)
	return to
}

// startsAfter tells whether the process may begin in the state to which from would
// take a resource that stands in s.
func (d *Definition) startsAfter(from *Definition, s string) bool {
	if from == nil || !from.IsTransitioning(s) {
		return false
	}
	done, ok := from.Done.Get(s)
	return ok && d.IsStart(done)
}

// Misfits lists the processes of a state column that have no business in a state,
// not even as their delegates: whoever moves a resource there cancels them.
func Misfits(defs []*Definition, field, state string, find Find) []string {
	var out []string
	for _, d := range defs {
		if d.StateField() == field && Fitting(d, state, find) == nil {
			out = append(out, d.Name)
		}
	}
	return out
}

// Opposed lists the processes of a state column that would take a resource from a state
// to where a launch that found or brought it there has no business: asked for before it
// and not begun, they would undo it. A process that leaves the resource where it was, as
// an update does, has nothing to undo.
func Opposed(defs []*Definition, launched *Definition, state string, find Find) []string {
	var out []string
	for _, d := range defs {
		if as := Fitting(d, state, find); as != nil && d.StateField() == launched.StateField() && launched.aims() {
			if to := Enter(as, nil, state); to != state && Fitting(launched, to, find) == nil {
				out = append(out, d.Name)
			}
		}
	}
	return out
}

// aims tells whether the process ends in one state, wherever it began.
func (d *Definition) aims() bool { return len(d.Done) == 1 }

// HandOver returns the definition as which a process goes on whose logic asks for its
// delegate, or nil where that has no business in the state.
func HandOver(d *Definition, state string, find Find) *Definition {
	next := find(d.Delegate)
	if next == nil || !next.Fits(state) {
		return nil
	}
	return next
}
