package placement

import (
	"testing"

	"github.com/cattleio/cattle/shared/store"
)

// Every host is offered once, those with most left first, or last; of equals each may be
// the first.
func TestHostsAreOfferedByWhatTheyHaveLeft(t *testing.T) {
	t.Parallel()
	first := map[int64]bool{}
	for range 200 {
		for _, most := range []bool{true, false} {
			all := []store.Candidate{{Host: 1, Free: 5}, {Host: 2, Free: 9}, {Host: 3, Free: 5}, {Host: 4, Free: 9}, {Host: 5, Free: 1}, {Host: 6, Free: 9}}
			offered := map[int64]bool{}
			var last *store.Candidate
			for c := range spread(all, most) {
				if last == nil && most {
					first[c.Host] = true
				}
				if last != nil && last.Free != c.Free && (last.Free > c.Free) != most {
					t.Fatalf("a host with %d left is offered after one with %d", c.Free, last.Free)
				}
				offered[c.Host], last = true, &c
			}
			if len(offered) != 6 {
				t.Fatalf("%d hosts of 6 are offered", len(offered))
			}
		}
	}
	if len(first) != 3 || !first[2] || !first[4] || !first[6] {
		t.Errorf("of the three with most left these came first: %v", first)
	}
}
