package limit

// Len is how many names are remembered.
func (b *Buckets) Len() int { return len(b.of) }

// Len is how many are remembered.
func (s *Strikes) Len() int { return len(s.of) }

// Most is how many are remembered who are not out.
const Most = most
