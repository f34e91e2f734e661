package rest_test

import (
	"sync"
	"testing"
)

// Of those who ask for one address at the same time one gets it, and the others hear
// which field is taken.
func TestAnAddressIsGivenOnce(t *testing.T) {
	stories(t, func(s *server) {
		const askers = 12
		answers := make([]*answer, askers)
		var wg sync.WaitGroup
		for i := range askers {
			wg.Go(func() { answers[i] = s.post("/v1/agents", `{"uri":"event://one"}`) })
		}
		wg.Wait()
		made := 0
		for _, a := range answers {
			if a.code == 201 {
				made++
				continue
			}
			a.fails(422, "NotUnique", "uri")
		}
		if made != 1 {
			t.Errorf("%d agents have the address", made)
		}
		other := s.make("/v1/agents", `{"uri":"event://other"}`)
		s.send("PUT", "/v1/agents/"+other.str("id"), `{"uri":"event://one"}`).fails(422, "NotUnique", "uri")
	})
}
