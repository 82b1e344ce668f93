package main

import (
	"fmt"
	"path/filepath"
	"time"

	"plainruntime"
)

// samples is the number of times that memory and descriptors are read in a group.
const samples = 4

// measureLives measures containers in turn: the first group after the warm-up and the last one, and in each group one
// container of the plain runtime with the same config.json. Each life begins right after the one before, also that of the plain
// runtime. Ids count up: the agent refuses those of removed containers until the sandbox ends.
func (b *bench) measureLives() error {
	plain, err := b.plainLike("life-like-plain")
	if err != nil {
		return err
	}
	begin := time.Now()
	for i := 0; i < b.lives; i++ {
		group := i / b.group
		place := b.placeOf(group)
		if err := b.life(fmt.Sprintf("life-%d", i), place); err != nil {
			return err
		}
		if place != "" && i%max(1, b.group/samples) == 0 {
			if err := b.usage(place); err != nil {
				return err
			}
		}
		if i%b.group != b.group-1 {
			continue
		}
		if err := b.plainLife(plain, fmt.Sprintf("plain-%d", group)); err != nil {
			return err
		}
		if group%10 == 9 {
			progress("%d lives after %.0f s", i+1, time.Since(begin).Seconds())
		}
	}
	return nil
}

// placeOf names the groups that are measured; "": it is none of them.
func (b *bench) placeOf(group int) string {
	switch group {
	case 1:
		return "first"
	case b.lives/b.group - 1:
		return "last"
	}
	return ""
}

// life creates, starts, executes, kills, waits and removes. With a place, the times are added.
func (b *bench) life(id, place string) error {
	return b.steps(place, []step{
		{"start", func() error { return b.client.Start(id) }},
		{"exec", func() error { return b.client.Exec(id, "exec", "sleep", "1000") }},
		{"end", func() error {
			if err := b.client.End(id, id); err != nil {
				return err
			}
			return b.client.Remove(id)
		}},
	})
}

func (b *bench) plainLife(plain plainruntime.Runtime, id string) error {
	return b.steps("plain", []step{
		{"start", func() error { return plain.Start(id) }},
		{"exec", func() error { return plain.Exec(id) }},
		{"end", func() error { return plain.Remove(id) }},
	})
}

type step struct {
	name string
	run  func() error
}

func (b *bench) steps(place string, steps []step) error {
	begin := time.Now()
	for _, step := range steps {
		begin := time.Now()
		if err := step.run(); err != nil {
			return err
		}
		if place != "" {
			b.add(place+" "+step.name, milliseconds(begin))
		}
	}
	if place != "" {
		b.add(place+" life", milliseconds(begin))
	}
	return nil
}

// plainLike returns the plain runtime with the bundle of a container of the agent.
func (b *bench) plainLike(id string) (plainruntime.Runtime, error) {
	if err := b.client.Start(id); err != nil {
		return plainruntime.Runtime{}, err
	}
	agentBundle := filepath.Join(b.state, "bundles", id)
	plain, err := plainruntime.New(b.runtime, b.bundle, agentBundle, b.rootfs, "/"+b.cgroup+"/plain")
	if err != nil {
		return plain, err
	}
	return plain, b.client.Remove(id)
}
