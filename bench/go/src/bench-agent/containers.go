package main

import (
	"fmt"
	"time"
)

// life creates and starts a container, executes a command in it, and kills, waits for and removes it.
func (b bench) life(id string) error {
	begin := time.Now()
	if err := b.client.Start(id); err != nil {
		return err
	}
	started := milliseconds(begin)
	begin = time.Now()
	if err := b.client.Exec(id, "exec", "true"); err != nil {
		return err
	}
	if err := b.client.Wait(id, "exec"); err != nil {
		return err
	}
	b.add("exec", milliseconds(begin))
	begin = time.Now()
	if err := b.client.End(id, id); err != nil {
		return err
	}
	if err := b.client.Remove(id); err != nil {
		return err
	}
	b.add("create and start", started)
	b.add("create to removal", started+milliseconds(begin))
	return nil
}

// manyContainers measures the memory while there are so many more containers.
func (b bench) manyContainers(count int) error {
	for i := 0; i < count; i++ {
		if err := b.client.Start(fmt.Sprintf("many-%d", i)); err != nil {
			return err
		}
	}
	if err := b.memory("memory with containers"); err != nil {
		return err
	}
	for i := 0; i < count; i++ {
		if err := b.client.Remove(fmt.Sprintf("many-%d", i)); err != nil {
			return err
		}
	}
	return nil
}
