package wire

import (
	"encoding/json"
	"testing"
)

// What an agent lists that cannot be read hides nothing else. What is not in a list with
// such a gap may well run.
func TestAListWithAGapIsNotComplete(t *testing.T) {
	for text, want := range map[string]struct {
		uuids    string
		complete bool
	}{
		`[{"type":"instance","uuid":"a"},{"type":"instance","uuid":"b"}]`:            {"ab", true},
		`[{"type":"instance","uuid":"a"},{"type":"instance","uuid":5},{"uuid":"c"}]`: {"ac", false},
		`["x",{"uuid":"b"},null]`:                     {"b", false},
		`[{"uuid":"a","name":"\u0000"},{"uuid":"b"}]`: {"b", false},
		`[]`:   {"", true},
		`null`: {"", true},
	} {
		var said PingData
		if err := json.Unmarshal([]byte(`{"options":{"instances":true},"resources":`+text+`}`), &said); err != nil {
			t.Fatal(err)
		}
		uuids := ""
		for _, r := range said.Resources {
			uuids += r.UUID
		}
		if uuids != want.uuids || said.Options.Instances != want.complete {
			t.Errorf("%s: %q, complete: %v", text, uuids, said.Options.Instances)
		}
	}
	if json.Unmarshal([]byte(`{"resources":5}`), new(PingData)) == nil {
		t.Error("what is no list is read as one")
	}
}
