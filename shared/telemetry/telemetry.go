// Package telemetry shows from outside what a server does. It is the home of the
// Prometheus library: other rooms count by small methods here, or keep a number of
// their own that is read when somebody looks.
//
//	engine, api ──▶ counters ─────────┐
//	store, bus, gateway ◀── read ─────┼──▶ GET /metrics
//	the watch ──▶ Sight (leader only) ┘
//
// Labels hold words that are declared, as names of types, processes, states and
// reasons, and never ids: what may be counted is bounded. A nil *Metrics counts
// nothing, so that tests and tools leave it out.
package telemetry

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

// Metrics is what one server counts.
type Metrics struct {
	registry *prometheus.Registry
	watch    *watch

	events    prometheus.Counter
	attempts  *counters[string]
	claims    *counters[string]
	waits     *counters[string]
	ended     *counters[[2]string]
	took      *histograms[string]
	states    *histograms[[2]string]
	panics    *counters[string]
	requests  *counters[[3]string]
	responses *histograms[string]
}

// Times that buckets end at, in seconds. They are few: each costs a line for every
// process and state that was ever seen.
var (
	longTimes  = []float64{0.1, 1, 5, 30, 120, 600, 3600}
	shortTimes = []float64{0.005, 0.025, 0.1, 0.5, 2.5, 10}
)

// New returns metrics of their own, so that several servers of one process do not
// meet in them.
func New() *Metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m := &Metrics{registry: r, watch: newWatch(),
		events: prometheus.NewCounter(prometheus.CounterOpts{Name: "cattle_process_execution_event_total", Help: "Bells answered: looks at a process."}),
		attempts: newCounters(r, lower, "cattle_process_execution_total",
			"Attempts at processes by how they ended; waiting is one that gave up its slot until a reply comes.", "reason"),
		claims: newCounters(r, one, "cattle_process_claims_total",
			"Claims of processes: taken, refused because there was nothing to do, lost to another run.", "outcome"),
		waits: newCounters(r, one, "cattle_process_waits_total",
			"Times that a process began to wait: for an agent, a handler from outside, a busy resource, or to be tried again.", "for"),
		ended:    newCounters(r, second, "cattle_processes_ended_total", "Processes that have ended, by name and outcome.", "process", "reason"),
		took:     newHistograms(r, one, longTimes, "cattle_process_duration_seconds", "From the request to the end of a process.", "process"),
		states:   newHistograms(r, two, longTimes, "cattle_state_duration_seconds", "Time in transitioning states, measured when one is left.", "type", "state"),
		panics:   newCounters(r, one, "cattle_panics_total", "Panics that were caught, by part.", "part"),
		requests: newCounters(r, three, "cattle_http_requests_total", "Requests to the API.", "method", "type", "status"),
		responses: newHistograms(r, one, shortTimes, "cattle_http_request_duration_seconds",
			"From a request to the API to its answer.", "method"),
	}
	r.MustRegister(m.events, m.watch)
	return m
}

// Count shows a number that only grows and that read knows.
func (m *Metrics) Count(name, help string, read func() int64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(read()) }))
}

// Show shows a number that goes up and down and that read knows.
func (m *Metrics) Show(name, help string, read func() int64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(read()) }))
}

// Looked counts a bell that was answered.
func (m *Metrics) Looked() {
	if m != nil {
		m.events.Inc()
	}
}

// Claimed counts a claim of a process: taken, refused or lost.
func (m *Metrics) Claimed(outcome string) {
	if m != nil {
		m.claims.add(outcome)
	}
}

// Attempted counts the end of an attempt that is not the last of its process, and
// what the process waits for now; "" for nothing.
func (m *Metrics) Attempted(reason, waits string) {
	if m == nil {
		return
	}
	m.attempts.add(reason)
	if waits != "" {
		m.waits.add(waits)
	}
}

// Ended counts the end of a process, and of its last attempt.
func (m *Metrics) Ended(process, reason string, took time.Duration) {
	if m == nil {
		return
	}
	m.attempts.add(reason)
	m.ended.add([2]string{process, reason})
	m.took.observe(process, took)
}

// Left notes how long a resource was in a state that it has left.
func (m *Metrics) Left(typ, state string, after time.Duration) {
	if m != nil {
		m.states.observe([2]string{typ, state}, after)
	}
}

// Panicked counts a panic that was caught in a part.
func (m *Metrics) Panicked(part string) {
	if m != nil {
		m.panics.add(part)
	}
}

// Answered counts a request to the API. The type is one that is declared.
func (m *Metrics) Answered(method, typ string, status int, took time.Duration) {
	if m == nil {
		return
	}
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodPatch:
	default:
		method = other
	}
	m.requests.add([3]string{method, typ, classes[min(max(status/100, 0), len(classes)-1)]})
	m.responses.observe(method, took)
}

var classes = [...]string{other, "1xx", "2xx", "3xx", "4xx", "5xx"}

// Text writes all of it as scrapers read it, and names the format.
func (m *Metrics) Text() (contentType string, text []byte, err error) {
	families, err := m.registry.Gather()
	if err != nil {
		return "", nil, fmt.Errorf("cannot gather metrics: %w", err)
	}
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	var b bytes.Buffer
	encoder := expfmt.NewEncoder(&b, format)
	for _, f := range families {
		if err := encoder.Encode(f); err != nil {
			return "", nil, fmt.Errorf("cannot write metrics: %w", err)
		}
	}
	return string(format), b.Bytes(), nil
}

// ServeHTTP answers a scraper.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	kind, text, err := m.Text()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(text)
}
