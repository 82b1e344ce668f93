package main

import (
	"fmt"
	"sync"
	"time"

	"podclient"
)

// starters is the number of callers that create, execute and remove at once.
const starters = 8

// containersOfConnection is the number of containers whose processes a connection waits for: it may have 1,024 calls in flight.
const containersOfConnection = 8

// settle is the time after which an agent has ended what follows a removal.
const settle = 3 * time.Second

func containerName(i int) string { return fmt.Sprintf("crowd-%d", i) }

func execName(i int) string { return fmt.Sprintf("exec-%d", i) }

// measureContainers measures an agent with many containers and execs that all run, and with a wait and a read in flight for each, as
// a Kata runtime has them: from before the first to after the last.
func (b *bench) measureContainers() error {
	time.Sleep(settle)
	if err := b.usage("before"); err != nil {
		return err
	}
	if err := b.client.Start(containerName(0)); err != nil {
		return err
	}
	endStart, err := b.observe("starting", containerName(0))
	if err != nil {
		return err
	}
	begin := time.Now()
	err = inParallel(starters, b.containers-1, func(i int) error { return b.client.Start(containerName(i + 1)) })
	if err != nil {
		return err
	}
	b.add("start of containers", time.Since(begin).Seconds())
	progress("%d containers after %.1f s", b.containers, time.Since(begin).Seconds())
	begin = time.Now()
	err = inParallel(starters, b.containers*b.execs, func(i int) error {
		return b.client.Exec(containerName(i%b.containers), execName(i/b.containers), "sleep", "100000")
	})
	if err != nil {
		return err
	}
	b.add("start of execs", time.Since(begin).Seconds())
	progress("%d execs after %.1f s", b.containers*b.execs, time.Since(begin).Seconds())
	if err := endStart(); err != nil {
		return err
	}
	waited, err := b.waitForAll()
	if err != nil {
		return err
	}
	time.Sleep(settle)
	if err := b.usage("with all"); err != nil {
		return err
	}
	if err := b.observeFor("with all", containerName(0), b.period); err != nil {
		return err
	}
	begin = time.Now()
	err = inParallel(starters, b.containers, func(i int) error { return b.client.Remove(containerName(i)) })
	if err != nil {
		return err
	}
	if err := waited(); err != nil {
		return err
	}
	b.add("removal", time.Since(begin).Seconds())
	progress("removed after %.1f s", time.Since(begin).Seconds())
	time.Sleep(settle)
	return b.usage("with all removed")
}

// waitForAll has a wait and a read in flight for each process. The returned function waits until all are answered, and
// returns the first error of a wait.
func (b *bench) waitForAll() (func() error, error) {
	failure := &firstError{}
	var group sync.WaitGroup
	var connections []*podclient.Client
	for i := 0; i < b.containers; i++ {
		if i%containersOfConnection == 0 {
			client, err := b.dial()
			if err != nil {
				return nil, err
			}
			connections = append(connections, client)
		}
		client, id := connections[len(connections)-1], containerName(i)
		processes := []string{id}
		for j := 0; j < b.execs; j++ {
			processes = append(processes, execName(j))
		}
		for _, process := range processes {
			process := process
			group.Add(2)
			go func() {
				defer group.Done()
				failure.set(client.Wait(id, process))
			}()
			go func() {
				defer group.Done()
				client.ReadStdout(id, process)
			}()
		}
	}
	return func() error {
		group.Wait()
		for _, client := range connections {
			client.Close()
		}
		return failure.get()
	}, nil
}
