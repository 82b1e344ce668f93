package main

import (
	"math"
	"sort"
	"sync"
	"time"
)

// latencies are the times of calls, in milliseconds.
type latencies struct {
	mutex  sync.Mutex
	values []float64
}

func (l *latencies) add(since time.Time) {
	value := milliseconds(since)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.values = append(l.values, value)
}

// sorted ends the collection.
func (l *latencies) sorted() []float64 {
	sort.Float64s(l.values)
	return l.values
}

// percentile returns the value below which a share of the sorted values lies.
func percentile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return sorted[max(0, int(math.Ceil(float64(len(sorted))*share))-1)]
}

// percentiles adds the median, the 99th percentile and the longest of times.
func (b *bench) percentiles(name string, times *latencies) (p50, p99, longest float64) {
	sorted := times.sorted()
	p50, p99, longest = percentile(sorted, 0.5), percentile(sorted, 0.99), percentile(sorted, 1)
	b.add(name+" p50", p50)
	b.add(name+" p99", p99)
	b.add(name+" longest", longest)
	return p50, p99, longest
}

func milliseconds(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1000 }
