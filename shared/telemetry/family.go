package telemetry

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// other stands for words beyond those that are counted by themselves.
const other = "other"

// most bounds the children of one family. What is declared stays far below it.
const most = 2000

// children are the members of a family by their words. One that is known is found
// without making a slice or a map.
type children[K comparable, C any] struct {
	make func(K) C
	rest K // for words that come when there are too many

	mu    sync.RWMutex
	known map[K]C
}

func (c *children[K, C]) get(k K) C {
	c.mu.RLock()
	child, ok := c.known[k]
	c.mu.RUnlock()
	if ok {
		return child
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= most {
		k = c.rest
	}
	if child, ok = c.known[k]; !ok {
		child = c.make(k)
		c.known[k] = child
	}
	return child
}

// The values of the labels, for families with one, two and three of them. Reasons
// become lower case here, once for each, and not where they are counted.
func one(k string) []string       { return []string{k} }
func lower(k string) []string     { return []string{strings.ToLower(k)} }
func two(k [2]string) []string    { return k[:] }
func second(k [2]string) []string { return []string{k[0], strings.ToLower(k[1])} }
func three(k [3]string) []string  { return k[:] }

// rest is a key whose words are all other.
func rest[K comparable](words func(K) []string) (k K) {
	switch k := any(&k).(type) {
	case *string:
		*k = other
	case *[2]string:
		*k = [2]string{other, other}
	case *[3]string:
		*k = [3]string{other, other, other}
	}
	return k
}

type counters[K comparable] struct {
	children[K, prometheus.Counter]
}

func newCounters[K comparable](r *prometheus.Registry, words func(K) []string, name, help string, labels ...string) *counters[K] {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.MustRegister(vec)
	return &counters[K]{children[K, prometheus.Counter]{rest: rest(words), known: map[K]prometheus.Counter{},
		make: func(k K) prometheus.Counter { return vec.WithLabelValues(words(k)...) }}}
}

func (c *counters[K]) add(k K) { c.get(k).Inc() }

type histograms[K comparable] struct {
	children[K, prometheus.Observer]
}

func newHistograms[K comparable](r *prometheus.Registry, words func(K) []string, buckets []float64, name, help string, labels ...string) *histograms[K] {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	r.MustRegister(vec)
	return &histograms[K]{children[K, prometheus.Observer]{rest: rest(words), known: map[K]prometheus.Observer{},
		make: func(k K) prometheus.Observer { return vec.WithLabelValues(words(k)...) }}}
}

func (h *histograms[K]) observe(k K, d time.Duration) { h.get(k).Observe(max(d, 0).Seconds()) }
