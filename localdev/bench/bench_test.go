package bench

import "testing"

func TestChooseRefusesWhatIsNoBenchmark(t *testing.T) {
	t.Parallel()
	if _, err := choose("first,frist", []string{"first"}); err == nil {
		t.Error("a name that is none was taken")
	}
}
