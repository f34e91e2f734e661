package telemetry

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func TestWhatIsCountedIsReadByAScraper(t *testing.T) {
	t.Parallel()
	m := New()
	m.Looked()
	m.Attempted("RESOURCE_BUSY", "resource")
	m.Ended("instance.start", "ALREADY_DONE", 3*time.Second)
	m.Left("instance", "starting", -time.Second) // clocks differ
	m.Answered("MAKE-UP", "volume", 777, time.Millisecond)
	n := int64(0)
	m.Count("cattle_test_total", "A number of somebody else.", func() int64 { n++; return n })
	kind, text, err := m.Text()
	if err != nil || !strings.HasPrefix(kind, "text/plain") {
		t.Fatalf("%s: %v", kind, err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"cattle_process_execution_event_total 1",
		`cattle_process_execution_total{reason="resource_busy"} 1`,
		`cattle_process_execution_total{reason="already_done"} 1`,
		`cattle_process_waits_total{for="resource"} 1`,
		`cattle_processes_ended_total{process="instance.start",reason="already_done"} 1`,
		`cattle_process_duration_seconds_bucket{process="instance.start",le="1"} 0`,
		`cattle_process_duration_seconds_bucket{process="instance.start",le="5"} 1`,
		`cattle_state_duration_seconds_sum{state="starting",type="instance"} 0`,
		`cattle_http_requests_total{method="other",status="5xx",type="volume"} 1`,
		"cattle_test_total 1",
	} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
	for name := range families {
		if !strings.HasPrefix(name, "cattle_") && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s has an odd name", name)
		}
	}
	if problems, err := testutil.GatherAndLint(m.registry); err != nil || len(problems) > 0 {
		t.Errorf("the names are unusual: %v %v", problems, err)
	}
}

// Whoever has no metrics counts nothing.
func TestNobodyNeedsMetrics(t *testing.T) {
	t.Parallel()
	var m *Metrics
	m.Looked()
	m.Claimed("taken")
	m.Attempted("TIMEOUT", "retry")
	m.Ended("a.b", "DONE", 0)
	m.Left("a", "b", 0)
	m.Panicked("api")
	m.Answered("GET", "a", 200, 0)
	m.See(&Sight{})
}

// However many words come, a family stays bounded.
func TestAFamilyIsBounded(t *testing.T) {
	t.Parallel()
	m := New()
	for i := range most + 100 {
		m.Ended(strings.Repeat("x", i), "DONE", 0)
	}
	if n := len(m.ended.known); n > most+1 {
		t.Errorf("the family has %d members", n)
	}
	if v := testutil.ToFloat64(m.ended.get([2]string{other, other})); v != 100 {
		t.Errorf("%v were counted as others", v)
	}
}

// Counting allocates nothing once a word is known.
func TestCountingIsCheap(t *testing.T) {
	m := New()
	count := func() {
		m.Looked()
		m.Claimed("taken")
		m.Attempted("TIMEOUT", "retry")
		m.Ended("instance.start", "DONE", time.Second)
		m.Left("instance", "starting", time.Second)
		m.Answered("GET", "volume", 200, time.Millisecond)
	}
	count()
	if n := testing.AllocsPerRun(100, count); n != 0 {
		t.Errorf("counting allocates %v times", n)
	}
}

func BenchmarkCounting(b *testing.B) {
	m := New()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Ended("instance.start", "DONE", time.Second)
		}
	})
}
