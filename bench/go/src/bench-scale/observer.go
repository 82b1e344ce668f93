package main

import (
	"sync"
	"time"
)

// pause is the time between two calls of the observer.
const pause = 5 * time.Millisecond

// observe calls GetGuestDetails and StatsContainer of a container in turn, on a connection of its own, until the returned function
// is called, which adds their times.
func (b *bench) observe(name, id string) (func() error, error) {
	client, err := b.dial()
	if err != nil {
		return nil, err
	}
	details, stats := &latencies{}, &latencies{}
	failure := &firstError{}
	over := make(chan struct{})
	var group sync.WaitGroup
	group.Add(1)
	go func() {
		defer group.Done()
		for failure.get() == nil {
			begin := time.Now()
			failure.set(client.Details())
			details.add(begin)
			begin = time.Now()
			failure.set(client.Stats(id))
			stats.add(begin)
			select {
			case <-over:
				return
			case <-time.After(pause):
			}
		}
	}()
	return func() error {
		close(over)
		group.Wait()
		client.Close()
		b.percentiles(name+" GetGuestDetails", details)
		b.percentiles(name+" StatsContainer", stats)
		return failure.get()
	}, nil
}

// observeFor observes for a time in which nothing else is called.
func (b *bench) observeFor(name, id string, length time.Duration) error {
	end, err := b.observe(name, id)
	if err != nil {
		return err
	}
	time.Sleep(length)
	return end()
}

// inParallel runs a function for each number below count, by so many workers, and returns the first error.
func inParallel(workers, count int, work func(i int) error) error {
	numbers := make(chan int)
	failure := &firstError{}
	var group sync.WaitGroup
	for i := 0; i < workers; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for number := range numbers {
				if failure.get() == nil {
					failure.set(work(number))
				}
			}
		}()
	}
	for i := 0; i < count; i++ {
		numbers <- i
	}
	close(numbers)
	group.Wait()
	return failure.get()
}
