// bench-container measures create and start of a container, an exec in it, its removal, and all of it, alternately
// through the agent and with a plain OCI runtime.
//
//	bench-container -address SOCKET -runtime PROGRAM -rootfs DIR -bundle DIR -n N
//
// The plain runtime gets the config.json that the agent itself wrote for its first container, with a cgroup and an id of
// its own, so that both do the same work. Output, in milliseconds: {"agent": TIMES, "plain": TIMES} with TIMES
// {"start": […], "exec": […], "remove": […], "whole": […]}
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"plainruntime"
	"podclient"
)

type bench struct {
	client  *podclient.Client
	runtime string
	rootfs  string
	bundle  string
	plain   plainruntime.Runtime
}

// bundles returns the agent's directory of bundles with config.json; its state directory is beside the root file system.
func (b *bench) bundles() string { return filepath.Join(filepath.Dir(b.rootfs), "state", "bundles") }

// idle is the wait before each life, so that both begin alike: the first process that is moved to a cgroup after a while waits
// up to 17 ms, one that is moved right after another does not (docs/adr/oci-runtime.md, "What a command costs the agent").
const idle = 100 * time.Millisecond

// times are durations in milliseconds, by step.
type times map[string][]float64

// step runs a function and adds its duration.
func (t times) step(name string, run func() error) error {
	begin := time.Now()
	if err := run(); err != nil {
		return err
	}
	t[name] = append(t[name], float64(time.Since(begin).Microseconds())/1000)
	return nil
}

func main() {
	b := &bench{}
	address := flag.String("address", "", "the agent's unix socket")
	flag.StringVar(&b.runtime, "runtime", "runc", "the plain OCI runtime")
	flag.StringVar(&b.rootfs, "rootfs", "", "root file system with busybox's commands")
	flag.StringVar(&b.bundle, "bundle", "", "an empty directory for the plain runtime's bundle")
	n := flag.Int("n", 10, "number of containers for each")
	flag.Parse()
	client, err := podclient.Dial(*address, b.rootfs, "")
	if err == nil {
		b.client = client
		err = b.run(*n)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench-container: %v\n", err)
		os.Exit(1)
	}
}

func (b *bench) run(n int) error {
	if err := b.client.CreateSandbox(); err != nil {
		return err
	}
	agent, plain := times{}, times{}
	for i := 0; i < n; i++ {
		time.Sleep(idle)
		id := fmt.Sprintf("bench-agent-%d-%d", os.Getpid(), i)
		if err := agent.step("whole", func() error { return b.agentOnce(id, agent, i == 0) }); err != nil {
			return err
		}
		time.Sleep(idle)
		id = fmt.Sprintf("bench-plain-%d-%d", os.Getpid(), i)
		if err := plain.step("whole", func() error { return b.plainOnce(id, plain) }); err != nil {
			return err
		}
	}
	if err := b.client.DestroySandbox(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]times{"agent": agent, "plain": plain})
}

func (b *bench) agentOnce(id string, t times, keepSpec bool) error {
	if err := t.step("start", func() error { return b.client.Start(id) }); err != nil {
		return err
	}
	if keepSpec {
		var err error
		cgroup := fmt.Sprintf("/bench-plain-%d", os.Getpid())
		b.plain, err = plainruntime.New(b.runtime, b.bundle, filepath.Join(b.bundles(), id), b.rootfs, cgroup)
		if err != nil {
			return err
		}
	}
	exec := func() error { return b.client.Exec(id, "exec", "sleep", "1000") }
	if err := t.step("exec", exec); err != nil {
		return err
	}
	return t.step("remove", func() error { return b.client.Remove(id) })
}

func (b *bench) plainOnce(id string, t times) error {
	if err := t.step("start", func() error { return b.plain.Start(id) }); err != nil {
		return err
	}
	if err := t.step("exec", func() error { return b.plain.Exec(id) }); err != nil {
		return err
	}
	return t.step("remove", func() error { return b.plain.Remove(id) })
}
