package main

import (
	"fmt"
	"time"

	kata "kata/grpc"
)

// life creates and starts a container, executes a command in it, and kills, waits for and removes it.
func (b bench) life(id string) error {
	begin := time.Now()
	if err := b.start(id); err != nil {
		return err
	}
	started := milliseconds(begin)
	begin = time.Now()
	if err := b.exec(id, "exec", "true"); err != nil {
		return err
	}
	if err := b.wait(id, "exec"); err != nil {
		return err
	}
	b.add("exec", milliseconds(begin))
	begin = time.Now()
	if err := b.end(id, id); err != nil {
		return err
	}
	if err := b.remove(id); err != nil {
		return err
	}
	b.add("create and start", started)
	b.add("create to removal", started+milliseconds(begin))
	return nil
}

// manyContainers measures the memory while there are so many more containers.
func (b bench) manyContainers(count int) error {
	for i := 0; i < count; i++ {
		if err := b.start(fmt.Sprintf("many-%d", i)); err != nil {
			return err
		}
	}
	if err := b.memory("memory with containers"); err != nil {
		return err
	}
	for i := 0; i < count; i++ {
		if err := b.remove(fmt.Sprintf("many-%d", i)); err != nil {
			return err
		}
	}
	return nil
}

func (b bench) start(id string) error {
	request := &kata.CreateContainerRequest{ContainerId: id, ExecId: id, OCI: b.spec(id)}
	if err := b.call("CreateContainer", request); err != nil {
		return err
	}
	return b.call("StartContainer", &kata.StartContainerRequest{ContainerId: id})
}

func (b bench) exec(id, exec string, args ...string) error {
	return b.call("ExecProcess", &kata.ExecProcessRequest{ContainerId: id, ExecId: exec, Process: process(args...)})
}

// end kills a process and waits for it. The exec of a container's own process is the container's id.
func (b bench) end(id, exec string) error {
	signal := &kata.SignalProcessRequest{ContainerId: id, Signal: 9}
	if exec != id {
		signal.ExecId = exec
	}
	if err := b.call("SignalProcess", signal); err != nil {
		return err
	}
	return b.wait(id, exec)
}

func (b bench) wait(id, exec string) error {
	request := &kata.WaitProcessRequest{ContainerId: id, ExecId: exec}
	return b.callFor("WaitProcess", request, &kata.WaitProcessResponse{})
}

func (b bench) remove(id string) error {
	return b.call("RemoveContainer", &kata.RemoveContainerRequest{ContainerId: id})
}

func process(args ...string) *kata.Process {
	return &kata.Process{User: &kata.User{}, Args: args, Env: []string{"PATH=/bin"}, Cwd: "/"}
}

// spec has no pid namespace: Kata's runtimes leave it out, and the agent adds one.
func (b bench) spec(id string) *kata.Spec {
	return &kata.Spec{
		Version: "1.0.2",
		Process: process("sleep", "1000"),
		Root:    &kata.Root{Path: b.rootfs},
		Mounts: []*kata.Mount{
			{Destination: "/proc", Source: "proc", Type: "proc"},
			{Destination: "/dev", Source: "tmpfs", Type: "tmpfs", Options: []string{"nosuid", "mode=755"}},
		},
		Linux: &kata.Linux{
			CgroupsPath: "/" + b.cgroup + "/" + id,
			Namespaces:  []*kata.LinuxNamespace{{Type: "ipc"}, {Type: "uts"}, {Type: "mount"}},
			Resources:   &kata.LinuxResources{Memory: &kata.LinuxMemory{Limit: 256 << 20}},
		},
	}
}
