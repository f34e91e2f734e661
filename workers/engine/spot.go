package engine

// spot is where the logic of a run is: the processes from the top, and the handler
// in the innermost of them.
type spot struct{ path, handler string }

// String writes it as agents are told it, the handler at the end.
func (s *spot) String() string {
	if s == nil {
		return ""
	}
	return s.path + "->(" + s.handler + ")"
}

// enter notes that a handler begins; leave, that the one around it goes on.
func (r *run) enter(path, handler string) (leave func()) {
	around := r.at.Swap(&spot{path, handler})
	return func() { r.at.Store(around) }
}
