package limit

// Len is how many names are remembered.
func (b *Buckets) Len() int { return len(b.of) }
