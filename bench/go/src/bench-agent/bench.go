package main

import (
	"fmt"
	"os/exec"
	"time"

	"podclient"
)

type bench struct {
	address, shared, rootfs, cgroup string
	lives                           int
	length                          time.Duration

	client  *podclient.Client
	pid     int
	results map[string][]float64
}

// add adds a figure to the results.
func (b bench) add(name string, value float64) { b.results[name] = append(b.results[name], value) }

// run measures an agent from its start to its end.
func (b bench) run(command *exec.Cmd) error {
	defer podclient.RemoveCgroups(b.cgroup)
	dial := func() (*podclient.Client, error) { return podclient.Dial(b.address, b.rootfs, b.cgroup) }
	return podclient.WithAgent(command, dial, func(agent podclient.Agent) error {
		b.client, b.pid = agent.Client, agent.Pid
		b.add("start", float64(agent.Started.Microseconds())/1000)
		return b.measure()
	})
}

func (b bench) measure() error {
	time.Sleep(300 * time.Millisecond)
	if err := b.memory("memory at start"); err != nil {
		return err
	}
	if err := b.client.CreateSandbox(); err != nil {
		return err
	}
	for i := 0; i < b.lives; i++ {
		if err := b.life(fmt.Sprintf("life-%d", i)); err != nil {
			return err
		}
	}
	if err := b.client.Start("main"); err != nil {
		return err
	}
	if err := b.rates("main"); err != nil {
		return err
	}
	for _, stream := range []func(string) error{b.readStdout, b.writeStdin} {
		if err := stream("main"); err != nil {
			return err
		}
	}
	if err := b.copyFile(); err != nil {
		return err
	}
	if err := b.memory("memory after calls"); err != nil {
		return err
	}
	if err := b.manyContainers(20); err != nil {
		return err
	}
	if err := b.client.Remove("main"); err != nil {
		return err
	}
	// The agent may end before it answers.
	b.client.DestroySandbox()
	return nil
}

// memory adds the proportional set size of the agent's process.
func (b bench) memory(name string) error {
	mebibytes, err := podclient.Memory(b.pid)
	b.add(name, mebibytes)
	return err
}

func milliseconds(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1000 }
