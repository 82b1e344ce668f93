package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"podclient"
)

// inFlight is the number of calls that may be unanswered; further ones wait, and the wait is part of their time.
const inFlight = 512

type method struct {
	name string
	call func() error
}

// measureCalls measures the time of mixed calls at a steady rate: from the moment at which each is due, so that a stop of the agent
// counts for each call that it delays.
func (b *bench) measureCalls() error {
	if err := b.client.Start("main"); err != nil {
		return err
	}
	if err := b.client.Exec("main", "writes", "yes"); err != nil {
		return err
	}
	methods := b.methods("main")
	byMethod := make([]latencies, len(methods))
	places := make(chan struct{}, inFlight)
	failure := &firstError{}
	interval := time.Second / time.Duration(b.rate)
	count := int(b.period / interval)
	begin := time.Now()
	for period := 0; period < b.periods; period++ {
		times := &latencies{}
		processor, err := podclient.ProcessorOf(b.pid)
		if err != nil {
			return err
		}
		var group sync.WaitGroup
		for i := 0; i < count && failure.get() == nil; i++ {
			due := begin.Add(time.Duration(period*count+i) * interval)
			time.Sleep(time.Until(due))
			places <- struct{}{}
			group.Add(1)
			index := i % len(methods)
			go func() {
				defer group.Done()
				failure.set(methods[index].call())
				times.add(due)
				byMethod[index].add(due)
				<-places
			}()
		}
		group.Wait()
		if err := failure.get(); err != nil {
			return err
		}
		if err := b.endPeriod(times, processor); err != nil {
			return err
		}
	}
	for i := range methods {
		b.percentiles(methods[i].name, &byMethod[i])
	}
	return b.client.Remove("main")
}

// methods are calls of a pod that run, one after another.
func (b *bench) methods(id string) []method {
	return []method{
		{"StatsContainer", func() error { return b.client.Stats(id) }},
		{"GetGuestDetails", b.client.Details},
		{"SignalProcess", func() error { return b.client.Signal(id, id, 0) }},
		{"WaitProcess, denied", func() error {
			err := b.client.Wait(id, "denied")
			if err == nil || !strings.Contains(err.Error(), "PermissionDenied") {
				return fmt.Errorf("WaitProcess of the exec `denied` was not denied: %v", err)
			}
			return nil
		}},
		{"ReadStdout", func() error {
			data, err := b.client.ReadStdout(id, "writes")
			if err == nil && len(data) == 0 {
				return fmt.Errorf("ReadStdout: the output of `yes` ended")
			}
			return err
		}},
	}
}

// endPeriod adds the figures of a period.
func (b *bench) endPeriod(times *latencies, before podclient.Processor) error {
	p50, p99, longest := b.percentiles("calls", times)
	processor, err := podclient.ProcessorOf(b.pid)
	if err != nil {
		return err
	}
	if err := b.usage("calls"); err != nil {
		return err
	}
	log, err := sizeOf(b.log)
	b.add("processor", 100*(processor.Used-before.Used)/b.period.Seconds())
	b.add("waited", 100*(processor.Waited-before.Waited)/b.period.Seconds())
	b.add("log", log)
	progress("period %d of %d (%s): p50 %.2f, p99 %.2f, longest %.1f ms; processor %.0f %%, waited %.0f %%; memory %.1f MiB, %.0f descriptors, log %.1f KiB",
		len(b.results["log"]), b.periods, b.period, p50, p99, longest,
		last(b.results["processor"]), last(b.results["waited"]), last(b.results["memory calls"]), last(b.results["descriptors calls"]), log)
	return err
}

// sizeOf returns the size of a file and of those beside it whose names begin with its name, in KiB.
func sizeOf(path string) (float64, error) {
	paths, err := filepath.Glob(path + "*")
	total := int64(0)
	for _, each := range paths {
		// A closed segment may be removed meanwhile.
		if info, err := os.Stat(each); err == nil {
			total += info.Size()
		}
	}
	return float64(total) / 1024, err
}

func last(values []float64) float64 { return values[len(values)-1] }
