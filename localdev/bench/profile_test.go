package bench

import (
	"fmt"
	"testing"

	"github.com/google/pprof/profile"
)

func TestAProfileIsAddedUpByPackage(t *testing.T) {
	t.Parallel()
	sample := func(nanoseconds int64, functions ...string) *profile.Sample { // the innermost first
		s := &profile.Sample{Value: []int64{1, nanoseconds}}
		for _, f := range functions {
			s.Location = append(s.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: f}}}})
		}
		return s
	}
	all, total := byPackage(&profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples"}, {Type: "cpu"}},
		Sample: []*profile.Sample{
			sample(30, "runtime.mallocgc", "encoding/json.(*decodeState).object", "encoding/json.Unmarshal", "example.com/a/b.v5.Read[go.shape.int].func1"),
			sample(10, "example.com/a/b.v5.(*T).Read", "runtime.goexit"),
		},
	})
	if got, want := fmt.Sprint(all, total), "[{example.com/a/b 40 10} {runtime 40 30} {encoding/json 30 0}] 40"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
