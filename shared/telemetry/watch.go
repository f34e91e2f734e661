package telemetry

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sight is what the server that leads has seen of the whole installation.
type Sight struct {
	At             time.Time
	Queue          map[string]int    // tasks that wait, by queue
	OldestRunnable time.Duration     // how long the process that is due longest has been so; 0 for none
	Running        int               // processes that a run has
	Runnable       int               // processes that are due and that no run has
	Pending        map[string]int    // processes that have not ended, by name
	Waiting        map[string]int    // of these, those that are not due, by what they wait for
	Transitioning  map[[2]string]int // resources by type and transitioning state
	Overdue        map[[2]string]int // of these, those beyond the deadline, by type and process
	Unattended     map[string]int    // of these, those that no process moves, by type

	OverdueProcesses map[string]int // pending processes that are older than their deadline, by name

	HostsGone    int  // active hosts whose agent is gone
	FailoverHeld bool // they are too many to move what runs there
}

// See shows a sight in place of the last one; nil shows none, for a server that
// leads no more.
func (m *Metrics) See(s *Sight) {
	if m != nil {
		m.watch.last.Store(s)
	}
}

// watch shows the last sight, all of it or nothing.
type watch struct {
	last atomic.Pointer[Sight]

	at, queue, oldest, running, runnable, pending, waiting, transitioning, overdue, unattended, late, gone, held *prometheus.Desc
}

func newWatch() *watch {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help+" Shown by the scheduler that leads.", labels, nil)
	}
	return &watch{
		at:            desc("cattle_watch_timestamp_seconds", "When the installation was last looked over."),
		queue:         desc("cattle_queue_depth", "Tasks that wait for a worker.", "queue"),
		oldest:        desc("cattle_processes_oldest_runnable_age_seconds", "How long the process has been due that is due longest and that no run has."),
		running:       desc("cattle_processes_running", "Processes that a run has."),
		runnable:      desc("cattle_processes_runnable", "Processes that are due and that no run has."),
		pending:       desc("cattle_processes_pending", "Processes that have not ended.", "process"),
		waiting:       desc("cattle_processes_waiting", "Processes that are not due, by what they wait for.", "for"),
		transitioning: desc("cattle_resources_transitioning", "Resources in a transitioning state.", "type", "state"),
		overdue:       desc("cattle_resources_overdue", "Resources that have been in a transitioning state for longer than the deadline of its process.", "type", "process"),
		unattended:    desc("cattle_resources_unattended", "Resources in a transitioning state that no process moves.", "type"),
		late:          desc("cattle_processes_overdue", "Pending processes that are older than their deadline.", "process"),
		gone:          desc("cattle_hosts_gone", "Active hosts whose agent no gateway holds."),
		held:          desc("cattle_failover_held", "1 while too many hosts are gone to move what runs there; an operator decides."),
	}
}

// Describe names what Collect may send.
func (w *watch) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{w.at, w.queue, w.oldest, w.running, w.runnable, w.pending, w.waiting, w.transitioning, w.overdue, w.unattended, w.late, w.gone, w.held} {
		out <- d
	}
}

// Collect sends the last sight.
func (w *watch) Collect(out chan<- prometheus.Metric) {
	s := w.last.Load()
	if s == nil {
		return
	}
	show := func(d *prometheus.Desc, v float64, words ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, words...)
	}
	show(w.at, float64(s.At.UnixMilli())/1000)
	show(w.oldest, s.OldestRunnable.Seconds())
	show(w.running, float64(s.Running))
	show(w.runnable, float64(s.Runnable))
	show(w.gone, float64(s.HostsGone))
	held := 0.0
	if s.FailoverHeld {
		held = 1
	}
	show(w.held, held)
	byOne := func(d *prometheus.Desc, m map[string]int) {
		for k, n := range m {
			show(d, float64(n), k)
		}
	}
	byTwo := func(d *prometheus.Desc, m map[[2]string]int) {
		for k, n := range m {
			show(d, float64(n), k[0], k[1])
		}
	}
	byOne(w.queue, s.Queue)
	byOne(w.pending, s.Pending)
	byOne(w.waiting, s.Waiting)
	byOne(w.unattended, s.Unattended)
	byOne(w.late, s.OverdueProcesses)
	byTwo(w.transitioning, s.Transitioning)
	byTwo(w.overdue, s.Overdue)
}
